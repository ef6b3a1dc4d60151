//! The bound over files in memory: what passes, what does not, and that the books are right afterwards.

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
    let storage = Bounded::new(to.storage(), Some(Arc::clone(ledger)), replaces);
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
    let stored = measure(folder.path(), true).unwrap();
    assert_eq!((stored.bytes, stored.files, stored.folders.len()), (327, 5 + links, 2));
    // The folders are known by the same hashes as those of an offer.
    let meta = Entry::file("in/deep/new", b"").meta;
    assert!(folders_of(&meta).iter().all(|folder| stored.folders.contains(folder)));
}
