"""Where content comes from and where it goes: reading trees, and landing files as PROTOCOL §6 asks."""

import errno
import fcntl
import os
import stat
from hashlib import sha256

import ft1_wire as w
from ft1_hash import UNIT, Hasher, decompose
from ft1_wire import CODE, Fault

BLOCK = 256 * 1024
STAGING = b".ft1-staging"


class FileFailed(Exception):
    """One stream or want failed; the session goes on."""

    def __init__(self, name: str, text: str = "", retry: int = w.NEVER):
        super().__init__(text)
        self.fault = Fault(CODE[name], text, retry)


def _failed(error: OSError) -> FileFailed:
    names = {
        errno.ENOENT: "not-found", errno.EACCES: "permission", errno.EPERM: "permission", errno.ENOSPC: "no-space",
        errno.ENAMETOOLONG: "bad-name", errno.EILSEQ: "bad-name", errno.ENOTDIR: "wrong-kind", errno.ELOOP: "unsafe-path",
        errno.EFBIG: "too-large",
    }  # fmt: skip
    return FileFailed(names.get(error.errno, "io"), os.strerror(error.errno or errno.EIO))


# --- The sending side ------------------------------------------------------------------------------------------------


def meta_of(path: bytes, name: tuple, follow: bool) -> w.Meta:
    """Metadata of a local file under the name `name`."""
    info = os.stat(path, follow_symlinks=follow)
    mode, mtime = stat.S_IMODE(info.st_mode) & 0o777, divmod(info.st_mtime_ns, 10**9)
    if stat.S_ISREG(info.st_mode):
        return w.Meta(name, w.FILE, info.st_size, mode, mtime)
    if stat.S_ISDIR(info.st_mode):
        return w.Meta(name, w.FOLDER, 0, mode, mtime)
    if stat.S_ISLNK(info.st_mode):
        return w.Meta(name, w.LINK, 0, None, mtime, os.readlink(path))
    raise FileFailed("unsupported-kind", "neither a file, a folder nor a link")


def walk(path: bytes, name: tuple, depth: int, links: int, failures: list):
    """Local path and metadata of `path` and what is in it, folders after their contents (FT-46)."""
    try:
        if os.path.islink(path) and links != w.LINKS_KEEP:
            return  # following would need a check against the root: this peer leaves links out
        if name:
            w.check_path(name)
        meta = meta_of(path, name, follow=False)
        if meta.kind == w.FOLDER and depth > 0:
            for entry in sorted(os.listdir(path)):
                if not (name == () and entry == STAGING):
                    yield from walk(os.path.join(path, entry), name + (entry,), depth - (depth != w.EVERYTHING), links, failures)
        if name:
            yield path, meta
    except (OSError, FileFailed, w.BadName) as error:
        reason = _failed(error) if isinstance(error, OSError) else error
        fault = getattr(reason, "fault", None) or Fault(CODE["bad-name"], str(error))
        failures.append(Fault(fault.code, f"{os.fsdecode(path)!r}: {fault.text}", fault.retry))


def wanted(root: bytes, path: tuple) -> bytes:
    """The local path of a WANT; no component above the last may be a link (FT-54)."""
    at = root
    for part in path:
        if at != root and os.path.islink(at):
            raise FileFailed("unsafe-path", "the path leads through a link")
        at = os.path.join(at, part)
    if path[:1] == (STAGING,) or not os.path.lexists(at):
        raise FileFailed("not-found", "no such file or folder")
    return at


class Content:
    """Reads one file, from the place that the receiver asked for, and hashes all of it."""

    def __init__(self, path: bytes, meta: w.Meta):
        self.meta = meta
        self.position = 0
        self.hasher = Hasher()
        self.file = None
        self.same = None
        if meta.kind == w.FILE:
            try:
                self.file = open(path, "rb", buffering=0)
            except OSError as error:
                raise _failed(error) from None

    def close(self) -> None:
        if self.file:
            self.file.close()

    def check(self, length: int, subtrees: list) -> None:
        """Goes to the first difference from a stated prefix, behind one without hashes (§6.3)."""
        base, hasher, done = (0, []), Hasher(), 0
        if not subtrees:
            self._feed(hasher, length)
            if hasher.length() == length:
                base = hasher.prefix()
        for number, piece in enumerate(decompose(length) if subtrees else (), 1):
            self._feed(hasher, piece)
            done += piece
            if hasher.length() != done:
                break  # shorter than offered: the transfer will find that
            base, hasher = hasher.prefix(), None
            if base[1] != subtrees[:number]:
                base = (done - piece, subtrees[: number - 1])
                break
            hasher = Hasher(*base)
        self.position = base[0]
        self.hasher = Hasher(*base)
        self.file.seek(self.position)

    def root(self) -> bytes:
        """The root of the whole file, read for it."""
        hasher = Hasher()
        self._feed(hasher, self.meta.size)
        self.file.seek(0)
        return hasher.root()

    def skip(self, root: bytes) -> None:
        """The receiver has all of it: only END is left."""
        self.position, self.same = self.meta.size, root

    def end(self) -> bytes:
        """The root, for END."""
        return self.same or self.hasher.root()

    def _feed(self, hasher: Hasher, length: int) -> None:
        while length > 0 and (block := self.file.read(min(length, BLOCK))):
            hasher.update(block)
            length -= len(block)

    def next(self) -> bytes:
        """The next bytes; nothing at the end."""
        if not self.file or self.same:
            return b""
        try:
            block = self.file.read(BLOCK)
        except OSError as error:
            raise _failed(error) from None
        if self.position + len(block) > self.meta.size or not block and self.position < self.meta.size:
            raise FileFailed("changed", f"the file no longer has {self.meta.size} bytes", w.NOW)
        self.hasher.update(block)
        self.position += len(block)
        return block


# --- The receiving side ----------------------------------------------------------------------------------------------


def _folder(root: int, path: tuple, make: bool, made: list) -> int:
    """A descriptor of a folder beneath `root`, through no link; new folders' parents go to `made`."""
    at = os.dup(root)
    for part in path:
        try:
            try:
                down = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            except FileNotFoundError:
                if not make:
                    raise
                os.mkdir(part, 0o777, dir_fd=at)
                made.append(os.dup(at))
                down = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
        except OSError as error:
            os.close(at)
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise FileFailed("unsafe-path", f"{os.fsdecode(part)!r} is not a folder") from None
            raise _failed(error) from None
        os.close(at)
        at = down
    return at


class Landing:
    """One offered entry on its way to its final name."""

    def __init__(self, root: bytes, offer: w.Frame):
        self.offer, self.meta = offer, offer.meta
        self.path = self.meta.path
        self.position, self.hasher = 0, Hasher()
        self.made, self.temp, self.partial = [], None, 0
        self.same_meta, self.same_root = False, None
        os.makedirs(os.path.join(root, STAGING), exist_ok=True)
        self.root = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        self.staging = os.open(os.path.join(root, STAGING), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        self.folder = -1

    def close(self) -> None:
        """Lets go; a partial stays."""
        for descriptor in [self.root, self.staging, self.folder, *self.made]:
            if descriptor >= 0:
                os.close(descriptor)
        self.root = self.staging = self.folder = -1
        self.made = []
        if self.temp:
            self.temp.close()

    def decide(self) -> w.Frame:
        """Name, policy, space: the ACK1."""
        try:
            return self._decide()
        except FileFailed as error:
            return w.ack1(self.offer.stream, w.REFUSED, fault=error.fault)
        except OSError as error:
            return w.ack1(self.offer.stream, w.REFUSED, fault=_failed(error).fault)

    def _decide(self) -> w.Frame:
        stream, meta = self.offer.stream, self.meta
        if self.path[0] == STAGING:
            raise FileFailed("bad-name", "the name is used by the receiver itself")
        self.folder = _folder(self.root, self.path[:-1], True, self.made)
        there = self._there(self.path[-1])
        kinds = {w.FILE: stat.S_ISREG, w.FOLDER: stat.S_ISDIR, w.LINK: stat.S_ISLNK}
        if there and not kinds[meta.kind](there.st_mode):
            raise FileFailed("wrong-kind", "something of another kind has that name")
        if meta.kind != w.FILE:
            return w.ack1(stream, w.SEND)
        if there and there.st_size == meta.size and self.offer.compare == w.COMPARE_QUICK:
            if meta.mtime and divmod(there.st_mtime_ns, 10**9) == meta.mtime:
                self.same_meta, meta.how = True, ", same by size and time"
                return w.ack1(stream, w.SAME_META, meta.size)
        if there and there.st_size == meta.size and self.offer.compare == w.COMPARE_CONTENT:
            self.same_root = self._hash_there()
            self._open_temp()
            return w.ack1(stream, w.SAME_CONTENT, meta.size, root=self.same_root)
        if there and self.offer.overwrite == w.OVERWRITE_NEVER:
            raise FileFailed("exists", "a file of that name is there")
        self._open_temp()
        room = os.fstatvfs(self.root)
        if meta.size is not None and meta.size - os.fstat(self.temp.fileno()).st_size > room.f_bavail * room.f_frsize:
            raise FileFailed("no-space", f"{meta.size} bytes do not fit", w.LATER)
        kept = os.fstat(self.temp.fileno()).st_size
        length = 0 if meta.size is None else min(kept, max(meta.size - 1, 0)) // UNIT * UNIT
        if length == 0:
            return w.ack1(stream, w.SEND)
        hasher = Hasher()
        while hasher.length() < length:
            hasher.update(self.temp.read(min(BLOCK, length - hasher.length())))
        self.partial, subtrees = hasher.prefix()
        self.claim = subtrees
        return w.ack1(stream, w.RESUME, length, subtrees=subtrees)

    def _there(self, name: bytes):
        try:
            return os.stat(name, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def _hash_there(self) -> bytes:
        hasher = Hasher()
        with open(os.open(self.path[-1], os.O_RDONLY | os.O_NOFOLLOW, dir_fd=self.folder), "rb", buffering=0) as file:
            while block := file.read(BLOCK):
                hasher.update(block)
        return hasher.root()

    def _open_temp(self) -> None:
        self.temp_name = sha256(b"/".join(self.path)).hexdigest()[:32].encode() + b".part"
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        self.temp = open(os.open(self.temp_name, flags, 0o600, dir_fd=self.staging), "r+b", buffering=0)
        try:
            fcntl.flock(self.temp, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FileFailed("name-busy", "another session is writing that name", w.LATER) from None

    def begin(self, offset: int) -> None:
        """First content: at 0 or at a boundary of what `decide` stated; what lies behind is dropped."""
        sums, total = [0], 0
        for piece in decompose(self.partial):
            total += piece
            sums.append(total)
        if offset not in sums:
            raise w.violation("FT-24", f"content begins at {offset}, {self.partial} bytes were stated")
        self.position = offset
        self.meta.how = f", from byte {offset}" if offset else ""
        self.hasher = Hasher(offset, self.claim[: sums.index(offset)] if offset else ())
        self.temp.truncate(offset)
        self.temp.seek(offset)

    def write(self, content: bytes) -> None:
        try:
            self.temp.write(content)
        except OSError as error:
            raise _failed(error) from None
        self.hasher.update(content)
        self.position += len(content)

    def hole(self, length: int) -> None:
        self.temp.seek(length, os.SEEK_CUR)
        self.hasher.zeros(length)
        self.position += length

    def finish(self, root: bytes) -> w.Frame:
        """Verifies, and lands: the ACK2."""
        try:
            return self._finish(root)
        except OSError as error:
            raise _failed(error) from None

    def _finish(self, root: bytes) -> w.Frame:
        meta, name = self.meta, self.path[-1]
        if self.same_meta or root == self.same_root and self.position == 0:
            meta.how = meta.how or ", same by content"
            with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=self.folder), "rb") as file:
                os.fsync(file)
            if self.temp:
                os.unlink(self.temp_name, dir_fd=self.staging)
            return self._landed(bytes(32) if self.same_meta else root, meta.size)
        own = self.hasher.root()
        if own != root:
            if self.temp:
                os.unlink(self.temp_name, dir_fd=self.staging)
            raise FileFailed("integrity", f"expected {root.hex()}, got {own.hex()}", w.NOW)
        if meta.kind == w.FOLDER:
            at = _folder(self.folder, (name,), True, self.made)
            self._metadata(at)
            os.fsync(at)
            os.close(at)
        elif meta.kind == w.LINK:
            temp = sha256(b"/".join(self.path)).hexdigest()[:32].encode() + b".link"
            if os.path.lexists(f"/proc/self/fd/{self.staging}".encode() + b"/" + temp):
                os.unlink(temp, dir_fd=self.staging)
            os.symlink(meta.target, temp, dir_fd=self.staging)
            os.rename(temp, name, src_dir_fd=self.staging, dst_dir_fd=self.folder)
        else:
            self.temp.truncate(self.position)
            self._metadata(self.temp.fileno())
            os.fsync(self.temp)
            if self.offer.overwrite == w.OVERWRITE_KEEP_BOTH:
                number = 1
                while self._there(name):
                    number += 1
                    name = self.path[-1] + b" (%d)" % number
            there = self._there(name)
            if there and not stat.S_ISREG(there.st_mode):
                raise FileFailed("wrong-kind", "something of another kind took that name")
            os.rename(self.temp_name, name, src_dir_fd=self.staging, dst_dir_fd=self.folder)
        self.path = self.path[:-1] + (name,)
        return self._landed(root, self.position)

    def _metadata(self, descriptor: int) -> None:
        if self.meta.mode is not None:
            os.fchmod(descriptor, self.meta.mode)
        elif self.meta.kind == w.FILE:
            os.fchmod(descriptor, 0o644)
        if self.meta.mtime:
            secs, nanos = self.meta.mtime
            os.utime(descriptor, ns=(secs * 10**9 + nanos, secs * 10**9 + nanos))

    def _landed(self, root: bytes, size: int) -> w.Frame:
        for descriptor in [self.folder, *self.made]:
            os.fsync(descriptor)
        return w.ack2(self.offer.stream, size, w.DURABLE, root, self.path)
