"""What must be closed, as a context manager: its block's end closes it."""

from __future__ import annotations

from abc import ABC, abstractmethod

TYPE_CHECKING = False  # importing typing would cost a service a third of its start
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["Closing"]


class Closing(ABC):
    """Closed at the end of its `with` block, however that ends."""

    @abstractmethod
    def close(self) -> None:
        """Let go of everything; again does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
