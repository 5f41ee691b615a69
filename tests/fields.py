"""Header fields of every kind, for Hypothesis: names that count or not, what is not a name, and any value."""

from aiohttp.http_parser import SINGLETON_HEADERS
from hypothesis import strategies as st

from jwks_server.serving.request_fields import READ

_NAMES = st.one_of(
    st.sampled_from([*sorted(READ), *(name.encode() for name in sorted(SINGLETON_HEADERS))]),
    st.sampled_from([b"Accept-Encoding", b"IF-MATCH", b"Via", b"x-Unheard-Of", b"X-Request-ID", b"a b", b""]),
    st.binary(max_size=9),
)
_VALUES = st.one_of(
    st.sampled_from([b"gzip", b"0", b"close", b"*", b"", b" ", b"\t", b"\x00", b"\r", b"\n", b"\r\n ", b"\xff"]),
    st.sampled_from([b"a\r\nHost: b", b"a\r\nAccept-Encoding: gzip"]),
    st.binary(max_size=9),
)
_COLONS = st.sampled_from([b":", b": ", b": ", b" :", b""])

FIELDS = st.builds(lambda name, colon, value: name + colon + value, _NAMES, _COLONS, _VALUES)
