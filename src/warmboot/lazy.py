"""Names of a package that are loaded when they are first used (PEP 562)."""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would cost a third of the start of `kexec --version`
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping
    from typing import Any

__all__ = ["lazy"]


def lazy(
    names: MutableMapping[str, Any], homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package: `names` are its globals, `homes` says which module below warmboot
    each lazy name comes from. What dir() shows is the package's __all__."""
    package = names["__name__"]

    def __getattr__(name: str) -> Any:  # noqa: ANN401, N807 - a module's attribute can be anything
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        # importlib would cost a hundredth of a load's time.
        value = names[name] = getattr(__import__(f"warmboot.{homes[name]}", fromlist=[name]), name)
        return value

    def __dir__() -> list[str]:  # noqa: N807
        public = names.get("__all__", names)
        return sorted({*public, *homes, *(each for each in names if each.startswith("__"))})

    return __getattr__, __dir__
