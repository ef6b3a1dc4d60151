//! Every bound of the disk code, in one place, each with its unit and its reason.

use std::time::Duration;

/// Name of the staging folder. Reserved: never listed, served, or taken as a component of a path from a peer.
pub const STAGING: &str = ".ft-staging";

/// Age after which a partial that nobody came back for is swept: a week covers a holiday's broken upload, and a
/// forgotten one does not hold disk space for ever.
pub(super) const PARTIAL_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Age after which a partial that nobody may read is not one that is just being landed: its mode comes before the sync of
/// its content, which takes minutes on a slow disk.
pub(super) const LANDING_AGE: Duration = Duration::from_secs(3600);

/// Staged files put on one shelf before the next one's turn: together they fit one block of a folder.
pub(super) const SHELF_FILES: u64 = 64;

/// Shelves of one process: with all in use, a full sync group has them to itself. At most 64, a bit each.
pub(super) const SHELVES: u64 = 64;

/// Time between two sweeps of the staging folder by a process that keeps running.
pub(super) const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// Files that one session holds open without writing to them, between offer and content or between end and commit.
/// Others are closed and opened again by name: 64 sessions stay below the usual 1,024 descriptors, sockets included.
pub(super) const KEEP_OPEN: usize = 8;

/// Files that are remembered because a sync failed for them, 32 bytes each: beyond that, every file of the folder counts as one.
pub(super) const DOUBTS_MOST: usize = 16 * 1024;

/// Up to this many files or folders of one commit are synced one by one, more by one sync of the file system: a file
/// costs about 5 ms on a journaled disk, the whole file system 20 to 200 ms.
pub(super) const SYNC_EACH: usize = 8;

/// Files up to this size, bytes, are hashed by the thread that writes or reads them; a second thread costs two wake-ups,
/// which is what hashing this much costs.
pub(super) const HASH_INLINE: u64 = 512 * 1024;

/// Files of one commit that are open at a time, from the look at what lies under their names to the rename: with 16 sessions
/// of one client they are 3,072, and systems allow 4,096 at least to a process that asks.
pub(super) const OPEN_TOGETHER: usize = 192;

/// Bytes read at once from a file that is hashed beside its way: they stay in a core's own cache until they are hashed.
pub(super) const HASH_STEP: usize = 256 * 1024;

/// Bytes written between two requests to start write-back. It takes 20 % off the time to durable, because the sync at
/// the end finds nearly nothing to do; smaller steps make more and smaller disk writes.
pub(super) const FLUSH_EVERY: u64 = 16 * 1024 * 1024;

/// Resolved folders kept by a session between two commits, and by one commit.
pub(super) const FOLDERS_CACHED: usize = 64;

/// Names tried for keep-both, `name (1)` and on. Beyond that the folder is a rubbish heap and the offer is refused.
pub(super) const KEEP_BOTH_TRIES: u32 = 1000;

/// Read size for hashing what is on disk already, bytes: it is still in the core's own cache when it is hashed.
pub(super) const HASH_PIECE: usize = 128 * 1024;

/// Threads that hash one file at most: beyond that, memory is what limits.
pub(super) const HASH_THREADS: usize = 8;

/// Bytes that they hash before anything else is looked at.
pub(super) const HASH_TOGETHER: u64 = 64 * 1024 * 1024;

/// Beginnings of files that one session believes at a time, each open while it is hashed. Beyond that they are hashed before
/// anything is stated: a session that was cut leaves one, and as many again as there were jobs.
pub(super) const BELIEVED_TOGETHER: usize = 8;

/// Bytes of a file that are hashed ahead without anybody's need of it: the values of its units take 2 MiB then.
pub(super) const AHEAD_BYTES: u64 = 64 * 1024 * 1024 * 1024;

/// Bytes that are hashed ahead before it is asked whether content is wanted: what is not finished then is lost.
pub(super) const AHEAD_TOGETHER: u64 = 4 * 1024 * 1024;

/// Files that wait to be hashed ahead without need.
pub(super) const AHEAD_FILES: usize = 16;

/// Roots remembered between sessions at most; the file that holds them has 88 bytes for each, 5.5 MiB.
pub(super) const ROOTS_MOST: usize = 64 * 1024;

/// Bytes from which on a file's root is worth remembering: a smaller one is read as fast as it is looked up.
pub(super) const ROOTS_LEAST: u64 = 64 * 1024;

/// Age of a file's last change from which on a further change is certain to show: the coarsest clock of a file system in
/// use counts in 2 s.
pub(super) const ROOTS_GRAIN: Duration = Duration::from_secs(2);

/// Time for which an answer about free space is used again for small files, so that a tree does not ask for each.
pub(super) const SPACE_AGE: Duration = Duration::from_millis(200);

/// Room that is left free on the destination, bytes: a file system that is filled to the last block cannot even write
/// the folder entry of what it took.
pub(super) const SPACE_MARGIN: u64 = 1024 * 1024;

/// Longest target of a symbolic link, bytes: what an OFFER can carry (PROTOCOL §5.3).
pub(super) const MAX_TARGET: usize = 4096;

/// Rights that the owner of a folder keeps whatever mode was offered: a folder that its own server cannot open, nobody could
/// use again.
pub(super) const FOLDER_RIGHTS: u16 = 0o500;

/// Bytes of the listings of folders that the process keeps, where it matters how names are spelled: some 400,000 names. A folder
/// of more is read anew for each of its names.
pub(super) const LISTED_BYTES: usize = 16 * 1024 * 1024;

/// Bytes of names of the folders that a session has made and that were not offered themselves yet: some ten thousand.
pub(super) const FRESH_BYTES: usize = 1024 * 1024;
