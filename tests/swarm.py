"""Many clients in a process of their own, so that they need none of the test's descriptors: ``python swarm.py``."""

import asyncio
import sys
from contextlib import suppress

_GET = b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: a\r\n\r\n"


async def slow(port: int, number: int) -> None:
    """Open connections that send a head a byte at a time, and open them again when they are closed; for ever."""

    async def one() -> None:
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                over = asyncio.create_task(reader.read())
                for at in range(len(_GET) - 1):
                    writer.write(_GET[at : at + 1])
                    await asyncio.wait({over}, timeout=0.5)
                    if over.done():
                        break
                over.cancel()
                writer.close()
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(one()) for _ in range(number)]
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(slow(int(sys.argv[1]), int(sys.argv[2])))
