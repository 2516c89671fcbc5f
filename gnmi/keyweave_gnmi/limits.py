"""Bounds of a gNMI server, in one frozen value."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GnmiLimits:
    """Every bound a caller can run into; ValueError when one makes no sense."""

    max_message_bytes: int = 4 * 1024 * 1024  # a request, and the answer to a Get
    max_paths: int = 256  # paths of one request
    max_path_elements: int = 64  # elements of one path, prefix included
    max_calls: int = 256  # calls of any kind at one time
    max_streams: int = 64  # Subscribe calls at one time
    max_streams_per_user: int = 16
    min_sample_s: float = 0.1  # what a sample interval of 0 means; shorter ones are refused
    refresh_s: float = 1.0  # how often state is looked at while somebody waits for its changes
    updates_per_message: int = 200  # values bundled into one notification; 1: never bundled
    write_timeout_s: float = 30.0  # how long a subscriber may leave a message untaken
    grace_s: float = 0.5  # what `close` leaves running calls

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        if self.max_message_bytes < 4096:
            raise ValueError(f"max_message_bytes must be 4096 or more, not {self.max_message_bytes}")
