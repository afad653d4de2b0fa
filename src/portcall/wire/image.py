"""What an image says of itself to what runs in it; `portcall image build` sets these, and workers tell them on."""

from typing import Final

IMAGE_VARIABLE: Final = "PORTCALL_IMAGE"
REVISION_VARIABLE: Final = "PORTCALL_REVISION"
