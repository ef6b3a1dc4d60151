//! The bound over files in memory: what passes, what does not, and that the books are right afterwards.

use std::fs;

use super::*;
use ft_core::event::{Event, Report};
use ft_core::memory::{Entry, Memory};
use ft_core::session::{self, NoPulse, Options};

/// Books that count bytes.
fn bytes(most: u64, stored: u64) -> Arc<Ledger> {
    Ledger::new(Some(most), None, Stored { bytes: stored, ..Stored::default() })
}

/// Bytes and files that are taken.
fn counted(ledger: &Ledger) -> (u64, u64) {
    let taken = ledger.taken();
    (taken.bytes, taken.files)
}

/// Pushes files to a bounded storage: the report, what was refused, and what is taken afterwards.
async fn push(files: &[(&str, usize)], to: &Memory, ledger: &Arc<Ledger>) -> (Report, Vec<String>, u64) {
    push_as(files, to, ledger, &Options::default()).await
}

async fn push_as(
    files: &[(&str, usize)],
    to: &Memory,
    ledger: &Arc<Ledger>,
    options: &Options,
) -> (Report, Vec<String>, u64) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let from = Memory::new();
    files.iter().for_each(|(name, len)| from.put(Entry::file(name, &vec![7; *len])));
    let there = to.clone();
    let replaces = move |offer: &Offer| there.content(&offer.meta.path.to_string()).is_some();
    let storage = Bounded::new(to.storage(), Some(Arc::clone(ledger)), Unpaid::default(), replaces);
    let serve = async {
        let accepted = session::accept(far, &[]).await.unwrap();
        accepted.receive(storage, options, NoPulse, |_| ()).await
    };
    let mut refused = Vec::new();
    let push = session::push(near, from.source(), options, NoPulse, |event| {
        if let Event::Failed(_, error) = event {
            refused.push(error.to_string());
        }
    });
    let (_, report) = tokio::join!(serve, push);
    (report, refused, ledger.taken().bytes)
}

#[tokio::test]
async fn files_within_the_quota_are_stored_and_stay_counted() {
    let (to, ledger) = (Memory::new(), bytes(1000, 100));
    let (report, refused, taken) = push(&[("a", 300), ("b", 600)], &to, &ledger).await;
    assert_eq!((report.end, report.completed, refused.len(), taken), (Ok(()), 2, 0, 1000));
    // The same files once more need nothing.
    let (report, _, taken) = push(&[("a", 300)], &to, &ledger).await;
    assert!(report.end.is_ok() && taken <= 1300, "{taken}");
}

#[tokio::test]
async fn file_beyond_the_quota_is_refused_with_the_figures_and_smaller_ones_pass() {
    let (to, ledger) = (Memory::new(), bytes(1000, 100));
    let (report, refused, taken) = push(&[("a", 901), ("b", 900)], &to, &ledger).await;
    assert_eq!((report.end, report.completed, report.failed, taken), (Ok(()), 1, 1, 1000));
    assert_eq!(refused, ["no-space: this key may store 1000 bytes, and 100 are taken; this needs 901 more"]);
    assert_eq!((to.content("a"), to.content("b").map(|b| b.len())), (None, Some(900)));
}

#[tokio::test]
async fn sessions_of_one_key_share_the_books() {
    let (to, ledger) = (Memory::new(), bytes(1000, 0));
    push(&[("a", 600)], &to, &ledger).await;
    let (report, _, taken) = push(&[("b", 600)], &to, &ledger).await;
    assert_eq!((report.completed, report.failed, taken), (0, 1, 600));
}

#[tokio::test]
async fn files_and_the_folders_above_them_are_counted_and_the_one_too_many_is_refused() {
    let (to, ledger) = (Memory::new(), Ledger::new(None, Some(5), Stored { files: 1, ..Stored::default() }));
    // Two folders and two files.
    let (report, refused, _) = push(&[("d/e/a", 300), ("d/e/b", 0)], &to, &ledger).await;
    assert_eq!((report.completed, refused.len(), ledger.taken().files), (2, 0, 5));
    let (report, refused, _) = push(&[("d/c", 1)], &to, &ledger).await;
    assert_eq!((report.completed, report.failed, ledger.taken().files), (0, 1, 5));
    assert_eq!(refused, ["no-space: this key may store 5 files and folders, and 5 are taken; this needs 1 more"]);
}

#[tokio::test]
async fn what_is_there_already_passes_when_everything_is_taken() {
    let (to, ledger) = (Memory::new(), Ledger::new(Some(300), Some(1), Stored::default()));
    push(&[("a", 300)], &to, &ledger).await;
    assert_eq!(counted(&ledger), (300, 1));
    let options = Options { compare: ft_core::frame::Compare::Content, ..Options::default() };
    let (report, refused, _) = push_as(&[("a", 300)], &to, &ledger, &options).await;
    assert_eq!((report.completed, report.failed, refused.len()), (1, 0, 0), "{refused:?}");
    assert_eq!(counted(&ledger), (300, 1));
}

#[tokio::test]
async fn file_that_takes_the_place_of_another_is_no_file_more() {
    let (to, ledger) = (Memory::new(), Ledger::new(None, Some(1), Stored::default()));
    push(&[("a", 300)], &to, &ledger).await;
    let (report, refused, _) = push(&[("a", 400)], &to, &ledger).await;
    assert_eq!((report.completed, refused.len(), ledger.taken().files), (1, 0, 1));
    let (report, ..) = push(&[("b", 1)], &to, &ledger).await;
    assert_eq!((report.failed, ledger.taken().files), (1, 1));
}

#[tokio::test]
async fn content_that_differs_after_all_is_charged_as_it_comes() {
    let (to, ledger) = (Memory::new(), Ledger::new(Some(500), None, Stored::default()));
    to.put(Entry::file("a", &[9; 300]));
    let options = Options { compare: ft_core::frame::Compare::Content, ..Options::default() };
    let (report, _, taken) = push_as(&[("a", 300)], &to, &ledger, &options).await;
    assert_eq!((report.completed, taken), (1, 300));
    let (report, refused, taken) = push_as(&[("b", 300)], &to, &ledger, &options).await;
    assert_eq!((report.failed, refused.len(), taken), (1, 1, 300));
}

/// A storage that answers as it is told: offers with `prepared`, commits with a failure if `fails`.
struct Scripted {
    prepared: Prepared,
    fails: bool,
    ready: VecDeque<LandDone>,
}

impl Storage for Scripted {
    fn submit(&mut self, op: LandOp, _: Option<Bulk>) {
        match op {
            LandOp::Prepare(stream, _) => self.ready.push_back(LandDone::Prepared(stream, self.prepared.clone())),
            LandOp::Write { stream, len, .. } | LandOp::Hole { stream, len, .. } => {
                self.ready.push_back(LandDone::Wrote(stream, len));
            }
            LandOp::Discard(stream, _) => self.ready.push_back(LandDone::Discarded(stream)),
            LandOp::Commit(streams) if self.fails => {
                let failed = FileError::new(Code::Exists, Retry::Never, "in the way");
                self.ready.extend(streams.into_iter().map(|stream| LandDone::Failed(stream, 0, failed.clone())));
            }
            LandOp::Commit(_) | LandOp::Finish(..) => {}
        }
    }

    fn poll_done(&mut self, _: &mut Context<'_>) -> Poll<(LandDone, Option<Bulk>)> {
        self.ready.pop_front().map_or(Poll::Pending, |done| Poll::Ready((done, None)))
    }
}

const MIB: u64 = 1 << 20;

fn offer(name: &str, size: Option<u64>) -> Offer {
    let mut meta = Entry::file(name, b"").meta;
    meta.size = size;
    Offer {
        want: 0,
        meta,
        overwrite: ft_core::frame::Overwrite::Replace,
        compare: ft_core::frame::Compare::None,
        level: ft_core::frame::Level::Cached,
    }
}

/// One stream of `d/a`, of which a bounded storage is told `ops`; whether it was refused.
fn stream(ledger: &Arc<Ledger>, size: Option<u64>, prepared: Prepared, fails: bool, ops: Vec<LandOp>) -> bool {
    let inner = Scripted { prepared, fails, ready: VecDeque::new() };
    let mut bounded = Bounded::new(inner, Some(Arc::clone(ledger)), Unpaid::default(), |_| false);
    let mut refused = false;
    for op in std::iter::once(LandOp::Prepare(1, offer("d/a", size))).chain(ops) {
        bounded.submit(op, None);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        while let Poll::Ready((done, _)) = bounded.poll_done(&mut cx) {
            refused |= matches!(done, LandDone::Prepared(_, Prepared::Refused(_)) | LandDone::Failed(_, 1.., _));
        }
        if refused {
            break;
        }
    }
    refused
}

fn write(len: u64) -> LandOp {
    LandOp::Write { stream: 1, offset: 0, len }
}

fn part(len: u64) -> Prepared {
    Prepared::Partial { len, subtrees: Vec::new() }
}

#[test]
fn interrupted_file_that_fills_its_bounds_is_resumed_and_counted_once_however_often() {
    // The folder and the file.
    let ledger = Ledger::new(Some(4 * MIB), Some(2), Stored::default());
    assert!(!stream(&ledger, Some(4 * MIB), Prepared::Fresh, false, vec![write(2 * MIB + 7)]));
    assert_eq!(counted(&ledger), (2 * MIB + 7, 2));
    for _ in 0..3 {
        assert!(!stream(&ledger, Some(4 * MIB), part(2 * MIB), false, vec![write(MIB + 9)]));
        assert_eq!(counted(&ledger), (3 * MIB + 9, 2));
    }
    assert!(!stream(&ledger, Some(4 * MIB), part(3 * MIB), false, vec![write(MIB), LandOp::Commit(vec![1])]));
    assert_eq!(counted(&ledger), (4 * MIB, 2));
}

#[test]
fn part_that_was_here_before_is_counted_as_long_as_it_is_and_so_are_the_folders_above_it() {
    let name = crate::disk::part_name(&Entry::file("d/a", b"").meta.path);
    let stored = || Stored { bytes: MIB + 5, files: 1, parts: [(name.clone(), MIB + 5)].into(), ..Stored::default() };
    let ledger = Ledger::new(Some(2 * MIB), Some(2), stored());
    assert!(!stream(&ledger, Some(2 * MIB), part(MIB), false, vec![write(MIB), LandOp::Commit(vec![1])]));
    assert_eq!(counted(&ledger), (2 * MIB, 2));
    let ledger = Ledger::new(None, Some(1), stored());
    assert!(stream(&ledger, Some(2 * MIB), part(MIB), false, vec![]), "there is no room for its folder");
    assert_eq!(counted(&ledger), (MIB + 5, 1));
    assert_eq!(ledger.taken().parts.get(&name), Some(&(MIB + 5)), "it stays and is counted");
}

#[test]
fn what_could_not_be_landed_stays_counted_if_it_stays_as_a_part() {
    let ops = || vec![write(3 * MIB), LandOp::Commit(vec![1]), LandOp::Discard(1, Keep::Nothing)];
    let ledger = Ledger::new(Some(9 * MIB), Some(9), Stored::default());
    assert!(!stream(&ledger, Some(3 * MIB), Prepared::Fresh, true, ops()));
    assert_eq!(counted(&ledger), (3 * MIB, 2));
    // Too short for a part: nothing of it stays but the folder, which is not asked for again.
    let ledger = Ledger::new(Some(9 * MIB), Some(9), Stored::default());
    let short = vec![write(MIB), LandOp::Commit(vec![1]), LandOp::Discard(1, Keep::Nothing)];
    assert!(!stream(&ledger, Some(MIB), Prepared::Fresh, true, short));
    assert_eq!(counted(&ledger), (0, 1));
}

#[test]
fn file_of_unknown_size_that_is_cut_off_leaves_nothing_in_the_books_and_one_that_is_landing_stays() {
    let ledger = Ledger::new(Some(9 * MIB), Some(9), Stored::default());
    assert!(!stream(&ledger, None, Prepared::Fresh, false, vec![write(8 * MIB)]));
    assert_eq!(counted(&ledger), (0, 1));
    assert!(!stream(&ledger, None, Prepared::Fresh, false, vec![write(8 * MIB), LandOp::Commit(vec![1])]));
    assert_eq!(counted(&ledger), (8 * MIB, 2));
    assert!(!stream(&ledger, Some(0), Prepared::Fresh, false, vec![LandOp::Commit(vec![1])]));
    assert_eq!(counted(&ledger), (8 * MIB, 3));
}

#[test]
fn what_a_folder_holds_is_counted_without_following_links() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("in/deep")).unwrap();
    fs::create_dir_all(folder.path().join(STAGING).join("w-1/0")).unwrap();
    fs::write(folder.path().join(STAGING).join("p-1"), [0; 7]).unwrap();
    fs::write(folder.path().join("in/deep/a"), [0; 300]).unwrap();
    fs::write(folder.path().join("b"), [0; 20]).unwrap();
    fs::write(elsewhere.path().join("c"), [0; 5000]).unwrap();
    let mut links = 0;
    if cfg!(unix) {
        links += 1;
        #[cfg(unix)]
        std::os::unix::fs::symlink(elsewhere.path(), folder.path().join("link")).unwrap();
    }
    let stored = measure(&Root::open(folder.path()).unwrap(), true).unwrap();
    assert_eq!((stored.bytes, stored.files, stored.folders.len()), (327, 5 + links, 2));
    // The folders are known by the same hashes as those of an offer.
    let meta = Entry::file("in/deep/new", b"").meta;
    assert!(folders_of(&meta).iter().all(|folder| stored.folders.contains(folder)));
}

/// A storage that answers nothing, as one whose answers nobody reads: it only hears which offers may take room.
struct Slow {
    unpaid: Unpaid,
    /// Streams that may, and those that may not.
    heard: Arc<Mutex<(Vec<StreamId>, Vec<StreamId>)>>,
}

impl Storage for Slow {
    fn submit(&mut self, op: LandOp, _: Option<Bulk>) {
        if let LandOp::Prepare(stream, _) = op {
            let mut heard = self.heard.lock().unwrap();
            match self.unpaid.take(stream) {
                Some(_) => heard.1.push(stream),
                None => heard.0.push(stream),
            }
        }
    }

    fn poll_done(&mut self, _: &mut Context<'_>) -> Poll<(LandDone, Option<Bulk>)> {
        Poll::Pending
    }
}

#[test]
fn offers_beyond_the_quota_may_take_no_room_even_while_no_answer_is_read() {
    let (ledger, unpaid, heard) = (bytes(10 * MIB, MIB), Unpaid::default(), Arc::default());
    let slow = Slow { unpaid: unpaid.clone(), heard: Arc::clone(&heard) };
    let mut bounded = Bounded::new(slow, Some(Arc::clone(&ledger)), unpaid, |_| false);
    for (stream, name, size) in [(1, "a", 6 * MIB), (2, "b", 1 << 40), (3, "c", 4 * MIB), (4, "d", 3 * MIB)] {
        bounded.submit(LandOp::Prepare(stream, offer(name, Some(size))), None);
    }
    assert_eq!(*heard.lock().unwrap(), (vec![1, 4], vec![2, 3]));
    assert_eq!(counted(&ledger), (10 * MIB, 0));
    drop(bounded);
    assert_eq!(counted(&ledger), (MIB, 0), "what was only offered is given back");
}
