//! The bound over files in memory: what passes, what does not, and that the books are right afterwards.

use super::*;
use ft_core::event::{Event, Report};
use ft_core::memory::{Entry, Memory};
use ft_core::session::{self, NoPulse, Options};

/// Pushes files to a bounded storage: the report, what was refused, and what is taken afterwards.
async fn push(files: &[(&str, usize)], to: &Memory, ledger: &Arc<Ledger>) -> (Report, Vec<String>, u64) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let from = Memory::new();
    files.iter().for_each(|(name, len)| from.put(Entry::file(name, &vec![7; *len])));
    let storage = Bounded::new(to.storage(), Some(Arc::clone(ledger)));
    let options = Options::default();
    let serve = async {
        let accepted = session::accept(far, &[]).await.unwrap();
        accepted.receive(storage, &options, NoPulse, |_| ()).await
    };
    let mut refused = Vec::new();
    let push = session::push(near, from.source(), &options, NoPulse, |event| {
        if let Event::Failed(_, error) = event {
            refused.push(error.to_string());
        }
    });
    let (_, report) = tokio::join!(serve, push);
    (report, refused, *ledger.taken.lock().unwrap())
}

#[tokio::test]
async fn files_within_the_quota_are_stored_and_stay_counted() {
    let (to, ledger) = (Memory::new(), Ledger::new(1000, 100));
    let (report, refused, taken) = push(&[("a", 300), ("b", 600)], &to, &ledger).await;
    assert_eq!((report.end, report.completed, refused.len(), taken), (Ok(()), 2, 0, 1000));
    // The same files once more need nothing.
    let (report, _, taken) = push(&[("a", 300)], &to, &ledger).await;
    assert!(report.end.is_ok() && taken <= 1300, "{taken}");
}

#[tokio::test]
async fn file_beyond_the_quota_is_refused_with_the_figures_and_smaller_ones_pass() {
    let (to, ledger) = (Memory::new(), Ledger::new(1000, 100));
    let (report, refused, taken) = push(&[("a", 901), ("b", 900)], &to, &ledger).await;
    assert_eq!((report.end, report.completed, report.failed, taken), (Ok(()), 1, 1, 1000));
    assert_eq!(refused, ["no-space: this key may store 1000 bytes, and 100 are taken; this needs 901 more"]);
    assert_eq!((to.content("a"), to.content("b").map(|b| b.len())), (None, Some(900)));
}

#[tokio::test]
async fn sessions_of_one_key_share_the_books() {
    let (to, ledger) = (Memory::new(), Ledger::new(1000, 0));
    push(&[("a", 600)], &to, &ledger).await;
    let (report, _, taken) = push(&[("b", 600)], &to, &ledger).await;
    assert_eq!((report.completed, report.failed, taken), (0, 1, 600));
}

#[test]
fn what_a_folder_holds_is_counted_without_following_links() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("in/deep")).unwrap();
    fs::write(folder.path().join("in/deep/a"), [0; 300]).unwrap();
    fs::write(folder.path().join("b"), [0; 20]).unwrap();
    fs::write(elsewhere.path().join("c"), [0; 5000]).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(elsewhere.path(), folder.path().join("link")).unwrap();
    assert_eq!(measure(folder.path()).unwrap(), 320);
}
