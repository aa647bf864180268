"""Downloads over http(s) with limits on size, time and redirects, and with a say on which addresses are reached."""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue

from vl3 import __version__
from vl3.errors import UserError
from vl3.media.info import Encoded, FetchLimits, TemporaryFile

AGENT = f"vl3/{__version__}"
CHUNK = 1 << 18
REDIRECTS = {301, 302, 303, 307, 308}
DEFAULT_PORTS = {"http": 80, "https": 443}
URL_SAFE = "/?%:@!$&'()*+,;=~-._"
UNICAST = ipaddress.ip_network("2000::/3")
"""All of IPv6 that is given out to the public internet (IANA)."""
NAT64 = ipaddress.ip_network("64:ff9b::/96")


class RefusedError(UserError):
    """The server answered with anything but the file."""

    def __init__(self, name: str, response: http.client.HTTPResponse) -> None:
        super().__init__(f"{name}: the server answered {response.status} {response.reason}")
        self.status = response.status
        after = response.getheader("Retry-After") or ""
        self.retry_after_s = float(after) if after.isdecimal() else None
        """Seconds that it asks to wait, if it says so in seconds."""


def fetch(url: str, limits: FetchLimits) -> Encoded:
    """Downloads `url` into a temporary file. UserError, naming the URL, when a limit is passed or the server refuses.

    Every hop of a redirect is checked like the first URL. With `allow_private=False` the host is resolved here, refused
    if any of its addresses is not global, and the connection goes to the address that was checked.
    """
    deadline = time.monotonic() + limits.timeout_s
    name = display_name(url)
    for _ in range(limits.max_redirects + 1):
        with _get(url, name, limits, deadline) as response:
            if response.status in REDIRECTS:
                url = urllib.parse.urljoin(url, response.getheader("Location") or "")
                continue
            if response.status != 200:
                raise RefusedError(name, response)
            return Encoded(name, _save(response, name, limits))
    raise UserError(f"{name}: more than {limits.max_redirects} redirects")


def display_name(url: str) -> str:
    """The URL without credentials, query and fragment, which may be secret."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError as error:
        raise UserError(f"{url[:80]}: not a URL: {error}") from error
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@contextmanager
def _get(url: str, name: str, limits: FetchLimits, deadline: float) -> Iterator[http.client.HTTPResponse]:
    """The answer to one request. A timer cuts the connection at the deadline, however slowly the server drips."""
    hop = display_name(url)
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        found = "" if hop == name else f"redirects to {hop}: "
        raise UserError(f"{name}: {found}only http, https and data URLs are fetched; give a file by its path")
    late = UserError(f"{name}: the transfer took longer than the limit of {limits.timeout_s:g} s")
    try:
        sock = _connect(parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme], name, limits, deadline)
    except (OSError, ValueError) as error:  # ValueError: a port that is no number, a host that is no name
        if time.monotonic() >= deadline:
            raise late from error
        raise UserError(f"{name}: cannot reach {hop}: {error}") from error

    def cut() -> None:
        with suppress(OSError):  # it may be closed already
            # The plain socket's method: SSLSocket.shutdown would drop its TLS state under the reading thread.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, deadline - time.monotonic()), cut)
    timer.daemon = True
    timer.start()
    try:
        if parts.scheme == "https":  # the handshake keeps to the socket's own timeout
            sock = ssl.create_default_context().wrap_socket(sock, server_hostname=parts.hostname)
        with _request(sock, parts) as response:
            yield response
        if time.monotonic() >= deadline:  # a connection that was cut may look like one that ended
            raise late
    except (OSError, http.client.HTTPException, ValueError, UserError) as error:
        if time.monotonic() >= deadline:
            raise late from error
        if isinstance(error, UserError):
            raise
        raise UserError(f"{name}: the transfer failed: {type(error).__name__}: {error}") from error
    finally:
        timer.cancel()
        sock.close()


def _request(sock: socket.socket, parts: urllib.parse.SplitResult) -> http.client.HTTPResponse:
    """Asks for the URL over an open connection."""
    connection = http.client.HTTPConnection(parts.hostname or "")
    connection.sock = sock
    target = urllib.parse.quote(urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, "")), safe=URL_SAFE)
    headers = {
        "Host": parts.netloc.rpartition("@")[2],
        "User-Agent": AGENT,
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    connection.request("GET", target, headers=headers)
    return connection.getresponse()


def _connect(host: str, port: int, name: str, limits: FetchLimits, deadline: float) -> socket.socket:
    """A connection to one of the host's addresses, all of which have been checked."""
    addresses = _resolve(host, port, deadline)
    if not limits.allow_private:
        for address in addresses:
            if not _is_public(address):
                raise UserError(f"{name}: {host} is the private address {address}, which may not be fetched here")
    failure: OSError = OSError("the name has no address")
    for address in addresses:
        try:
            return socket.create_connection((address, port), timeout=max(0.01, deadline - time.monotonic()))
        except OSError as error:
            failure = error
    raise failure


def _is_public(address: str) -> bool:
    """Whether an address is on the public internet, also where IPv6 wraps an IPv4 address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        nat64 = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in NAT64 else None
        teredo = ip.teredo[1] if ip.teredo else None
        inner = ip.ipv4_mapped or ip.sixtofour or teredo or nat64
        if inner is not None:
            return _is_public(str(inner))
        if ip not in UNICAST:  # what else Python calls global is reserved: ::127.0.0.1, 64:ff9b:1::/48...
            return False
    return ip.is_global and not ip.is_multicast


def _resolve(host: str, port: int, deadline: float) -> list[str]:
    """The host's addresses. In a thread of its own, since a name lookup takes no time limit."""
    answers: SimpleQueue[list[str] | Exception] = SimpleQueue()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(str(entry[4][0]) for entry in found)))
        except (OSError, ValueError) as error:
            answers.put(error)

    threading.Thread(target=look_up, daemon=True).start()
    try:
        answer = answers.get(timeout=max(0.01, deadline - time.monotonic()))
    except Empty as error:
        raise OSError(f"no answer to the lookup of {host}") from error
    if isinstance(answer, Exception):
        raise OSError(f"the name {host} cannot be resolved: {answer}") from answer
    return answer


def _save(response: http.client.HTTPResponse, name: str, limits: FetchLimits) -> TemporaryFile:
    """The response's body in a temporary file."""
    too_large = UserError(f"{name}: larger than the limit of {limits.max_bytes} bytes")
    expected = response.length
    if expected is not None and expected > limits.max_bytes:
        raise too_large
    file = TemporaryFile()
    size = 0
    with file.path.open("wb") as out:
        while chunk := response.read1(CHUNK):
            size += len(chunk)
            if size > limits.max_bytes:
                raise too_large
            out.write(chunk)
    if expected is not None and size < expected:
        raise UserError(f"{name}: the server closed the connection after {size} of {expected} bytes")
    return file
