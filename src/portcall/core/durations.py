"""Spans of time in words."""


def duration(seconds: float) -> str:
    """Write a span of time with the two units that matter: 12s, 3m 05s, 2h 40m, 5d 03h."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d {hour:02}h"
    if hours:
        return f"{hours}h {minute:02}m"
    return f"{minutes}m {second:02}s" if minutes else f"{second}s"
