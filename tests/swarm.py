"""Many clients in a process of their own, which need none of the test's descriptors: swarm.py PORT NUMBER [tls]."""

import asyncio
import ssl
import sys
from contextlib import suppress

_GET = b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: a\r\n\r\n"


def trusting() -> ssl.SSLContext:
    """Trust any certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def slow(port: int, number: int, tls: ssl.SSLContext | None) -> None:
    """Open connections that send a head a byte at a time, and open them again when they are closed; for ever."""

    async def one() -> None:
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
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
    asyncio.run(slow(int(sys.argv[1]), int(sys.argv[2]), trusting() if "tls" in sys.argv[3:] else None))
