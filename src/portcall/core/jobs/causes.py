"""What a job says that was cancelled."""

from typing import Final

ASKED: Final = "Cancelled on request"
WITH_PARENT: Final = "Cancelled with the job that submitted it"
PARENT_UNSUCCESSFUL: Final = "Cancelled because a job that it waited for did not succeed"
