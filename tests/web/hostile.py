"""Bodies of 64 KiB that a naive JSON parser needs seconds for."""

_SIZE = 65_536
BODIES = {
    "quotes": b'"' * _SIZE,
    "backslashes": b'{"a":"' + b"\\" * (_SIZE - 6),
    "brackets": b"[" * _SIZE,
    "digits": b'{"bets":' + b"1" * (_SIZE - 8),
    "empty arrays": b"[[]," * (_SIZE // 4),
    "objects": b'{"":' * (_SIZE // 4),
    "empty bets": b'{"bets":[' + b"{}," * (_SIZE // 3 - 5) + b"{}]}",
    "large floats for bets": b'{"bets":[' + b"1.5e300," * (_SIZE // 8 - 2) + b"1.5e3]}",
    "numbers for bets": b'{"bets":[' + b"0," * (_SIZE // 2 - 6) + b"0]}",
}
