"""libbpf, as far as the sensor needs it, through ctypes. Nothing here decides anything.

Source:
    https://libbpf.readthedocs.io/en/latest/api.html
"""

from __future__ import annotations

import ctypes
from ctypes import CFUNCTYPE, POINTER, byref, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from functools import cache

from holdfast.model.errors import NotReachable

NAMES = ("libbpf.so.1", "libbpf.so")
_PRINT = CFUNCTYPE(c_int, c_int, c_char_p, c_void_p)
_SIGNATURES: dict[str, tuple[object, tuple[object, ...]]] = {
    "libbpf_set_print": (c_void_p, (_PRINT,)),
    "libbpf_version_string": (c_char_p, ()),
    "bpf_object__open_mem": (c_void_p, (c_void_p, c_size_t, c_void_p)),
    "bpf_object__load": (c_int, (c_void_p,)),
    "bpf_object__close": (None, (c_void_p,)),
    "bpf_object__next_program": (c_void_p, (c_void_p, c_void_p)),
    "bpf_object__next_map": (c_void_p, (c_void_p, c_void_p)),
    "bpf_object__find_map_by_name": (c_void_p, (c_void_p, c_char_p)),
    "bpf_program__name": (c_char_p, (c_void_p,)),
    "bpf_program__section_name": (c_char_p, (c_void_p,)),
    "bpf_program__fd": (c_int, (c_void_p,)),
    "bpf_program__attach": (c_void_p, (c_void_p,)),
    "bpf_program__attach_cgroup": (c_void_p, (c_void_p, c_int)),
    "bpf_program__set_autoload": (c_int, (c_void_p, ctypes.c_bool)),
    "bpf_program__attach_iter": (c_void_p, (c_void_p, c_void_p)),
    "bpf_link__fd": (c_int, (c_void_p,)),
    "bpf_link__destroy": (c_int, (c_void_p,)),
    "bpf_link__pin": (c_int, (c_void_p, c_char_p)),
    "bpf_iter_create": (c_int, (c_int,)),
    "bpf_map__fd": (c_int, (c_void_p,)),
    "bpf_map__name": (c_char_p, (c_void_p,)),
    "bpf_map__set_max_entries": (c_int, (c_void_p, c_uint32)),
    "bpf_map__max_entries": (c_uint32, (c_void_p,)),
    "bpf_map__value_size": (c_uint32, (c_void_p,)),
    "bpf_map_lookup_elem": (c_int, (c_int, c_void_p, c_void_p)),
    "bpf_map_update_elem": (c_int, (c_int, c_void_p, c_void_p, c_uint64)),
    "bpf_map_delete_elem": (c_int, (c_int, c_void_p)),
    "bpf_map_get_next_key": (c_int, (c_int, c_void_p, c_void_p)),
    "libbpf_num_possible_cpus": (c_int, ()),
}
_ONE = 1 << 22
"""Room for one message, bytes: the log of a refused program is one, and its last lines are the ones that count."""
KEPT = 65_536
"""Most bytes of libbpf's own words that are kept: the verifier's log can be megabytes, its end says why."""


class Library:
    """The loaded library, and what it said last."""

    def __init__(self) -> None:
        """Load it.

        Raises:
            NotReachable: It is not installed, or too old for what the sensor calls.
        """
        for name in NAMES:
            try:
                self.calls = ctypes.CDLL(name, use_errno=True)
                break
            except OSError:
                continue
        else:
            raise NotReachable(
                "libbpf is not installed", NAMES[0], "apt-get install libbpf1, or the same of your system"
            )
        try:
            for name, (result, arguments) in _SIGNATURES.items():
                call = getattr(self.calls, name)
                call.restype, call.argtypes = result, arguments
        except AttributeError as error:
            raise NotReachable(f"This libbpf is too old: {error}", name, "install libbpf 1.0 or newer") from error
        self.said = b""
        self._format = ctypes.CDLL(None).vsnprintf
        self._format.argtypes = (c_void_p, c_size_t, c_char_p, c_void_p)
        self._printer = _PRINT(self._print)  # kept: libbpf holds the address only
        self.calls.libbpf_set_print(self._printer)

    def _print(self, level: int, form: bytes, values: int) -> int:
        if level > 1:  # debug
            return 0
        buffer = ctypes.create_string_buffer(_ONE)
        self._format(buffer, len(buffer), form, values)
        self.said = (self.said + buffer.value)[-KEPT:]
        return 0

    @property
    def version(self) -> str:
        """Return libbpf's own version, ``v1.1``."""
        said: bytes = self.calls.libbpf_version_string()
        return said.decode()


@cache
def library() -> Library:
    """Return libbpf, loaded once."""
    return Library()


__all__ = ["POINTER", "Library", "byref", "library"]
