"""Rendered files -> what stock nginx serves them with: links, folders named after header values, and an include.

nginx can't read a header's value from a file, but it can resolve a link for each request (``$realpath_root``). So each
page is a link per choice of codings, and it leads to a folder whose path is the values of the reply's headers:
``replies/ETag/coding/Cache-Control/Content-Type/body``. One rename replaces bytes and headers together, and nginx needs
no reload. The include is the same for all pages.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path, PurePosixPath

from jwks_server.commands.layout import File
from jwks_server.errors import (
    ConfigError,
    MethodNotAllowed,
    NotAcceptable,
    PreconditionFailed,
    Problem,
)
from jwks_server.keys.jwk import digest
from jwks_server.published import problem
from jwks_server.published.representation import CORS, NO_SNIFFING

# An issuer's name never begins with a dot.
FOLDER = ".nginx"
INCLUDE = f"{FOLDER}/jwks.conf"
_REPLIES = f"{FOLDER}/replies"
# What stands after the URL path in a link's name. The path of a page has no %.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9._~/-]+")  # nginx gives no other character a meaning
_CHOICES = {"%": (), "%gzip": ("gzip",), "%br": ("br",), "%gzip%br": ("gzip", "br")}


def tree(files: Iterable[File]) -> Mapping[str, bytes | PurePosixPath]:
    """Lay out the pages for nginx: bytes for a file, a path for a link, by the name below the output folder.

    Args:
        files: All files of each page one after the other, with their bodies.
    """
    laid: dict[str, bytes | PurePosixPath] = {}
    for path, group in groupby(files, lambda file: file.url_path):
        page = tuple(group)
        folders = {file.coding: _folder(file) for file in page}
        laid |= {f"{folders[file.coding]}/body": file.body or b"" for file in page}
        for suffix, codings in _CHOICES.items():
            fits = [file for file in page if file.coding in {"identity", *codings}]
            best = min(fits, key=lambda file: len(file.body or b""))
            link = f"{FOLDER}/pages{path}{suffix}"
            up = "../" * (len(PurePosixPath(link).parts) - 1)
            laid[link] = PurePosixPath(up + folders[best.coding])
    return laid


def is_reply(name: str) -> bool:
    """Report whether a name is that of a reply's bytes, which requests may still be reading."""
    return name.startswith(f"{_REPLIES}/")


def _folder(file: File) -> str:
    fields = file.headers
    return "/".join((_REPLIES, digest(file.body or b""), file.coding, fields["Cache-Control"], fields["Content-Type"]))


def include(out: Path, jwks_path: str) -> str:
    """Write the include for a ``server`` block of nginx.

    Args:
        out: The output folder.
        jwks_path: Where the JWK Set of the key directory itself is.

    Raises:
        ConfigError: The folder's path can't be written there.
    """
    root = str(out / FOLDER)
    if not root.isprintable() or set(root) & set("\"'\\$;{}"):
        raise ConfigError(f"--out {out} has a character that nginx gives a meaning to; choose another folder.")
    start = _START.replace("@path@", jwks_path) % _return(problem.nothing_here(jwks_path))
    return (_INCLUDE + (start if _PLAIN_PATH.fullmatch(jwks_path) else "")).replace("@root@", root)


def _return(error: Problem) -> str:
    """Write the reply to an error, for a block that does nothing else."""
    fields = {name: value for name, value in problem.fields(error).items() if name != "Content-Type"}
    body = problem.document(error).decode().replace("'", "\\'")
    return f"{_add(fields, always=True)}\n        return {error.status} '{body}';"


def _add(fields: Mapping[str, str], *, always: bool = False) -> str:
    end = " always;" if always else ";"
    return "\n        ".join(f'add_header {name} "{value}"{end}' for name, value in fields.items())


def _member(member: str) -> str:
    """Write the pattern of a member of a list (RFC 9110 section 5.6.1)."""
    return rf"(?:^|,)[ \t]*{member}[ \t]*(?:,|$)"


_FULL = r"[ \t]*;[ \t]*q=1(?:\.0{0,3})?"
_SMALLER = r"[ \t]*;[ \t]*q=0\.0{0,2}[1-9][0-9]{0,2}"
_ZERO = r"[ \t]*;[ \t]*q=0(?:\.0{0,3})?"
_ANY = r"[ \t]*;[ \t]*q=[01][0-9.]*"
_GZIP = _member(f"(?:x-)?gzip(?:{_FULL})?")
_BR = _member(f"(?:x-)?br(?:{_FULL})?")
_IDENTITY = _member(f"identity(?:{_ANY})?")
_NO_IDENTITY = _member(f"identity{_ZERO}")
_NO_OTHER = _member(rf"\*{_ZERO}")
# The digest of the reply stands before the field's value, so that a backreference can compare the two.
_STAR = r"^[^ ]+ [ \t]*\*[ \t]*$"
_STRONGLY = r"^([^ ]+) (?:.*,)?[ \t]*\"\1\"[ \t]*(?:,|$)"
_WEAKLY = _STRONGLY.replace(r"[ \t]*\"", r"[ \t]*(?:W/)?\"", 1)
_PREFLIGHT = f"{_add(problem.PREFLIGHT)}\n        return 204;"
_SHARED = _add({"ETag": '\\"$jwks_digest\\"', "Cache-Control": "$jwks_cache", "Vary": "Accept-Encoding"})
_SHARED += "\n        " + _add({**CORS, **NO_SNIFFING, "Last-Modified": ""})
# A location that sends the body as it is.
_BODY = """internal;
    alias $jwks_reply/body;
    default_type "";
    types { }
    etag off;
    gzip off;
    open_file_cache off;"""
_NOT_FOUND = _return(problem.nothing_here())
_NO_METHOD = _return(MethodNotAllowed(f"Only {problem.ALLOW} are answered here.", problem.ALLOW))
_NO_CODING = _return(NotAcceptable("Accept-Encoding excludes identity, gzip and br; allow one of them."))
_NO_MATCH = _return(PreconditionFailed("If-Match does not name the current version."))
_MATCH = _return(PreconditionFailed("If-Match names the current version, but nginx can't compare it; leave it out."))

_INCLUDE = rf"""# Written by jwks-server render --format nginx. Include it in a server block:
#     server {{ listen 80; include "@root@/jwks.conf"; }}
# It is the same for all keys and issuers. Reload nginx when this file changes; a rotation needs no reload.

# Where nginx finds the folder. If that is another path, set it again after the include.
set $jwks_root "@root@";
server_tokens off;

location / {{
    # A page has a link for each choice of codings. It leads to the folder of the reply.
    root $jwks_root/pages$uri$jwks_choice;
    default_type {problem.MEDIA_TYPE};
    types {{ }}
    open_file_cache off;
    error_page 418 =304 /%not-modified;

    if (!-e $jwks_root/pages$uri%) {{
        {_NOT_FOUND}
    }}
    if ($request_method = OPTIONS) {{
        {_PREFLIGHT}
    }}
    if ($request_method !~ "^(GET|HEAD)$") {{
        {_NO_METHOD}
    }}

    # A coding with the weight 1 is used. nginx can't compare other weights: they count only if identity is refused.
    set $jwks_choice "%";
    if ($http_accept_encoding ~* "{_BR}") {{
        set $jwks_choice "%br";
    }}
    if ($http_accept_encoding ~* "{_GZIP}") {{
        set $jwks_choice "%gzip$jwks_choice";
    }}
    if ($jwks_choice = "%gzip%") {{
        set $jwks_choice "%gzip";
    }}
    set $jwks_refused "";
    if ($http_accept_encoding ~* "{_NO_OTHER}") {{
        set $jwks_refused "identity";
    }}
    if ($http_accept_encoding ~* "{_IDENTITY}") {{
        set $jwks_refused "";
    }}
    if ($http_accept_encoding ~* "{_NO_IDENTITY}") {{
        set $jwks_refused "identity";
    }}
    set $jwks_refused "$jwks_refused$jwks_choice";
    set $jwks_asked "$jwks_refused,$http_accept_encoding";
    if ($jwks_asked ~* "^identity%,(?:.*,)?[ \t]*(?:x-)?(gzip|br){_SMALLER}[ \t]*(?:,|$)") {{
        set $jwks_choice "%$1";
        set $jwks_refused "";
    }}
    if ($jwks_refused = "identity%") {{
        {_NO_CODING}
    }}

    # The folder that the link leads to. From here on, this request sees one version, whatever is rendered meanwhile.
    set $jwks_reply $realpath_root;
    set $jwks_digest "";
    if ($jwks_reply ~ "/replies/(?<jwks_digest>[^/]+)/(?<jwks_coding>[^/]+)/(?<jwks_cache>[^/]+)/(?<jwks_type>.+)$") {{
        set $jwks_found 1;
    }}
    if ($jwks_digest = "") {{
        {_NOT_FOUND}
    }}
    if ($jwks_coding = identity) {{
        set $jwks_coding "";
    }}

    set $jwks_match "$jwks_digest $http_if_match";
    if ($jwks_match !~ "^[^ ]+ $|{_STAR}|{_STRONGLY}") {{
        {_NO_MATCH}
    }}
    if ($jwks_match ~ "{_STRONGLY}") {{
        {_MATCH}
    }}
    set $jwks_none_match "$jwks_digest $http_if_none_match";
    if ($jwks_none_match ~ "{_STAR}|{_WEAKLY}") {{
        return 418;
    }}
    rewrite ^ /%reply last;
}}

location = /%reply {{
    {_BODY}
    if_modified_since off;
    max_ranges 0;
        add_header Content-Type $jwks_type;
        add_header Content-Encoding $jwks_coding;
        {_SHARED}
}}

location = /%not-modified {{
    {_BODY}
        {_SHARED}
}}
"""
_START = rf"""
location = / {{
    default_type {problem.MEDIA_TYPE};
    if (-e $jwks_root/pages@path@%%) {{
        %s
    }}
    {_NOT_FOUND}
}}
"""
