"""Contents of the memory store: plain bytes."""

HEAD_OCTETS = 1_048_576


class MemoryContentWriter:
    def __init__(self) -> None:
        self._octets = bytearray()

    @property
    def size_octets(self) -> int:
        return len(self._octets)

    def write(self, octets: bytes) -> None:
        self._octets += octets

    def head(self, limit_octets: int) -> bytes:
        return bytes(self._octets[: min(limit_octets, HEAD_OCTETS)])

    async def read(self, offset: int, length: int) -> bytes:
        return bytes(self._octets[offset : offset + length])

    def discard(self) -> None:
        """Nothing: after acceptance the store holds its own copy."""

    def octets(self) -> bytes:
        return bytes(self._octets)


class MemoryOctets:
    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self.size_octets = len(octets)

    async def read(self, offset: int, length: int) -> bytes:
        return self._octets[offset : offset + length]
