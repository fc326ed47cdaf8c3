"""Lets the kernel drop what strangers send, before it costs the process anything.

Knows classic BPF, as packet(7) and socket(7) have it. What it lets through is checked again by those who
read: a host without filters is slower under a flood, and no less right.
"""

import contextlib
import ctypes
import socket
import struct
from collections.abc import Collection

from speaker.model.prefix import Address

# linux/filter.h, linux/bpf_common.h, asm-generic/socket.h
_SO_ATTACH_FILTER = 26
_SO_DETACH_FILTER = 27
_SO_MEMINFO = 55
_MEMINFO_DROPS = 8
_LOAD_WORD = 0x20
_JUMP_EQUAL = 0x15
_RETURN = 0x06
_NETWORK_HEADER = 0xFFF00000

# The kernel takes 4096, but few kernels lend a socket the memory for so many.
_MAXIMUM_LENGTH = 2048

_WHOLE = 0xFFFF
_IPV4_SOURCE = 12
_IPV6_SOURCE = 8

Instruction = tuple[int, int, int, int]
"""A code, two jumps and an operand."""


def admit(sock: socket.socket, sources: Collection[Address]) -> None:
    """From now on only packets from these addresses reach `sock`; too many of them admit everyone."""
    program = _program(sock.family, sources)
    if len(program) > _MAXIMUM_LENGTH or not _attach(sock, program):
        # The filter of before would keep new peers out. That there is none is no error.
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


def _attach(sock: socket.socket, program: list[Instruction]) -> bool:
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in program))
    # struct sock_fprog: the number of instructions, and where they are.
    option = struct.pack("HP", len(program), ctypes.addressof(code))
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, option)
    except OSError:
        return False
    return True


def _program(family: int, sources: Collection[Address]) -> list[Instruction]:
    """Accepts what comes from one of the addresses, drops all else."""
    offset = _IPV4_SOURCE if family == socket.AF_INET else _IPV6_SOURCE
    program: list[Instruction] = []
    for packed in sorted({address.packed for address in sources}):
        words = struct.unpack(f"!{len(packed) // 4}I", packed)
        for position, word in enumerate(words):
            # A word that differs leads past the rest of this address and its `return`.
            rest = 2 * (len(words) - position - 1) + 1
            program += [
                (_LOAD_WORD, 0, 0, _NETWORK_HEADER + offset + 4 * position),
                (_JUMP_EQUAL, 0, rest, word),
            ]
        program.append((_RETURN, 0, 0, _WHOLE))
    program.append((_RETURN, 0, 0, 0))
    return program


def dropped(sock: socket.socket) -> int:
    """How many packets the kernel has dropped at this socket: strangers', and those there was no room for."""
    with contextlib.suppress(OSError):
        answer = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 64)
        values = struct.unpack(f"={len(answer) // 4}I", answer)
        if len(values) > _MEMINFO_DROPS:
            return int(values[_MEMINFO_DROPS])
    return 0
