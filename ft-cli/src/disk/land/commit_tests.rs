//! A sync that fails: no disk can be asked for one, so a pipe stands in for the file, which no system can sync, and for the
//! file system a descriptor that is good for nothing.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ft_core::frame::Compare;
use ft_core::frame::Offer;
use ft_core::storage::{Buf, LandOp, Prepared, Storage};

use super::super::super::limits::KEEP_OPEN;
#[cfg(all(target_os = "linux", not(feature = "portable-disk")))]
use super::super::super::owner::as_mere_owner;
use super::super::super::staging::partial_name;
use super::super::super::{DiskStorage, Policy, outbox};
use super::*;

fn offer(name: &str) -> Offer {
    let path = RelPath::parse(name.as_bytes()).unwrap();
    let meta = Meta { path, kind: Kind::File, size: Some(3), mode: None, mtime: None, target: vec![] };
    Offer { want: 0, meta, overwrite: Overwrite::Replace, compare: Compare::None, level: Level::Durable }
}

/// A stream of three bytes that is to be committed.
fn stream(root: &Arc<Root>, name: &str, temp: Temp) -> Box<Stream> {
    let Offer { meta, overwrite, level, .. } = offer(name);
    let _name = root.take_name(&meta.path).unwrap();
    Box::new(Stream {
        meta,
        overwrite,
        level,
        exists: false,
        candidate: 0,
        same: None,
        temp: Some(temp),
        hash: HashState::Known(ft_core::hash::Root::of(b"new")),
        prefix: (0, Vec::new()),
        before: None,
        position: Some(3),
        written: 3,
        reserved: None,
        flushed: 0,
        begun: Some(0),
        whole: false,
        broken: None,
        _name,
        promise: None,
    })
}

/// A staged file, closed.
fn staged(root: &Root) -> Temp {
    let staging = root.staging().unwrap();
    let name = staging.fresh_name().unwrap();
    drop(staging.own.create(&name, 0o600).unwrap());
    Temp { staging, name, partial: false, lasting: false, file: None, waits: false, noted: None, mark: None }
}

fn landing(root: &Arc<Root>, sync: Option<Arc<Dir>>) -> (Landing, outbox::Inbox<LandDone>) {
    let (done, told) = outbox::pair();
    let folders = Folders::new(Arc::clone(root), Names::Apart);
    (Landing { folders, names: Names::Apart, fresh: Fresh::default(), root: Arc::clone(root), sync, done }, told)
}

/// What became of the streams that have ended by now: their number, and why they failed.
fn ends(landing: &Landing, told: &mut outbox::Inbox<LandDone>) -> Vec<(StreamId, Option<FileError>)> {
    landing.done.flush();
    let mut cx = Context::from_waker(Waker::noop());
    let mut ends = Vec::new();
    while let Poll::Ready((done, _)) = told.poll(&mut cx) {
        match done {
            LandDone::Landed(id, _) => ends.push((id, None)),
            LandDone::Failed(id, _, error) => ends.push((id, Some(error))),
            LandDone::Step(..) => {}
            other
            @ (LandDone::Prepared(..) | LandDone::Wrote(..) | LandDone::Finished(..) | LandDone::Discarded(_)) => {
                panic!("neither a step nor an end: {other:?}")
            }
        }
    }
    ends
}

fn unsyncable() -> (io::PipeReader, Arc<File>) {
    let (reader, writer) = io::pipe().unwrap();
    (reader, Arc::new(File::from(OwnedFd::from(writer))))
}

fn next(storage: &mut DiskStorage) -> LandDone {
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        match storage.poll_done(&mut cx) {
            Poll::Ready((LandDone::Step(..), _)) => {}
            Poll::Ready((done, _)) => return done,
            Poll::Pending => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// Everything up to the commit.
fn send(storage: &mut DiskStorage, id: StreamId, offer: Offer) {
    storage.submit(LandOp::Prepare(id, offer), None);
    assert_eq!(next(storage), LandDone::Prepared(id, Prepared::Fresh));
    storage.submit(LandOp::Write { stream: id, offset: 0, len: 3 }, Some(Buf::copy_of(b"new").into()));
    assert_eq!(next(storage), LandDone::Wrote(id, 3));
    storage.submit(LandOp::Finish(id, 3), None);
    assert!(matches!(next(storage), LandDone::Finished(..)));
}

/// How many of them land.
fn commit(storage: &mut DiskStorage, ids: impl Iterator<Item = StreamId>) -> usize {
    let ids: Vec<_> = ids.collect();
    storage.submit(LandOp::Commit(ids.clone()), None);
    let landed = ids.iter().filter(|_| match next(storage) {
        LandDone::Landed(..) => true,
        LandDone::Failed(_, 0, error) => {
            assert_eq!((error.code, error.retry), (Code::Io, Retry::Later), "{error}");
            false
        }
        other @ (LandDone::Prepared(..)
        | LandDone::Wrote(..)
        | LandDone::Finished(..)
        | LandDone::Step(..)
        | LandDone::Discarded(_)
        | LandDone::Failed(..)) => panic!("no end: {other:?}"),
    });
    landed.count()
}

#[test]
fn failed_sync_is_final_for_the_file_and_leaves_neither_name_nor_partial() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), "old").unwrap();
    let root = Root::open(dir.path()).unwrap();
    let path = RelPath::parse(b"f").unwrap();
    let staging = root.staging().unwrap();
    let name = partial_name(&path);
    drop(staging.partials.create(&name, 0o600).unwrap());
    let (_reader, file) = unsyncable();
    let temp =
        Temp { staging, name, partial: true, lasting: true, file: Some(file), waits: false, noted: None, mark: None };
    let mut stream = stream(&root, "f", temp);
    stream.exists = true;
    let (mut landing, mut told) = landing(&root, None);
    landing.commit(vec![(7, stream)]);
    landing.done.flush();
    drop(landing);
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready((LandDone::Failed(7, 0, error), None)) = told.poll(&mut cx) else {
        panic!("the first completion is not the failure");
    };
    assert_eq!((error.code, error.retry), (Code::Io, Retry::Later));
    assert!(error.text.starts_with("sync f: "), "{error}");
    assert!(told.poll(&mut cx).is_pending(), "no step was reported");
    assert_eq!(fs::read(dir.path().join("f")).unwrap(), b"old");
    let left = fs::read_dir(dir.path().join(".ft-staging")).unwrap();
    let partials = left.filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with("p-")).count();
    assert_eq!(partials, 0, "what could not be synced is not trusted as a partial");
    assert!(root.take_name(&path).is_some(), "the name is free again");
}

/// A folder that cannot be synced, nor anything with it.
#[cfg(all(target_os = "linux", not(feature = "portable-disk")))]
fn broken(dir: &std::path::Path) -> Option<Arc<Dir>> {
    use rustix::fs::{Mode, OFlags};
    Some(Arc::new(Dir::from(rustix::fs::open(dir, OFlags::PATH, Mode::empty()).unwrap())))
}

#[test]
#[cfg(all(target_os = "linux", not(feature = "portable-disk")))]
fn file_that_was_under_way_when_a_sync_of_all_failed_is_not_called_durable_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let (mut landing, mut told) = landing(&root, broken(dir.path()));
    let many = StreamId::try_from(SYNC_EACH).unwrap() + 1;
    let first = (0..many).map(|n| (n, stream(&root, &format!("first{n}"), staged(&root)))).collect();
    landing.commit(first);
    let failed = ends(&landing, &mut told).iter().filter(|(_, error)| error.is_some()).count();
    assert_eq!(failed, SYNC_EACH + 1, "they needed the sync that failed");

    landing.sync = Some(Arc::new(Dir::open_ambient(dir.path()).unwrap()));
    let (_reader, pipe) = unsyncable();
    let closed = stream(&root, "closed", staged(&root));
    let mut open = stream(&root, "open", staged(&root));
    let mut lost = stream(&root, "lost", staged(&root));
    open.temp.as_mut().unwrap().reopen(false).unwrap();
    lost.temp.as_mut().unwrap().file = Some(pipe);
    let mut second = vec![(0, closed), (1, open), (2, lost)];
    for n in 3..3 + many {
        let mut later = stream(&root, &format!("later{n}"), staged(&root));
        later.begun = Some(1);
        second.push((n, later));
    }
    landing.commit(second);
    let ends = ends(&landing, &mut told);
    assert_eq!(ends.len(), 3 + usize::try_from(many).unwrap());
    for (n, error) in ends {
        match error {
            Some(error) => {
                assert!(n == 0 || n == 2, "{n}: {error}");
                assert_eq!((error.code, error.retry), (Code::Io, Retry::Later));
            }
            None => assert!(n == 1 || n >= 3, "{n} was called durable"),
        }
    }
    assert!(!dir.path().join("closed").exists() && !dir.path().join("lost").exists());
}

#[test]
fn storage_knows_which_files_had_begun_when_a_sync_failed_and_which_were_closed_since() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let mut storage = root.storage(Policy::default());
    (0..10).for_each(|id| send(&mut storage, id, offer(&format!("f{id}"))));
    root.sync_has_failed();
    (10..20).for_each(|id| send(&mut storage, id, offer(&format!("f{id}"))));
    assert_eq!(commit(&mut storage, 0..10), KEEP_OPEN, "what stayed open tells for itself");
    assert_eq!(commit(&mut storage, 10..20), 10, "what began after it has nothing to do with it");
}

/// Offers what is there by its size and time.
fn offer_again(root: &Arc<Root>, at: &std::path::Path, name: &str) -> Offer {
    let path = RelPath::parse(name.as_bytes()).unwrap();
    let (name, above) = path.components().split_last().unwrap();
    let there = root.dir.folder(above, Through::NoLinks).unwrap().stat(name).unwrap().unwrap();
    assert!(there.size == 3 && at.exists());
    let mut offer = Offer { compare: Compare::Quick, ..offer(&path.to_string()) };
    offer.meta.mtime = Some(there.mtime);
    offer
}

/// It is sent again, and with that everything is well.
fn lands_anew(root: &Arc<Root>, offer: &Offer) {
    let mut storage = root.storage(Policy::default());
    send(&mut storage, 1, offer.clone());
    assert_eq!(commit(&mut storage, 1..2), 1);
    storage.submit(LandOp::Prepare(2, offer.clone()), None);
    assert_eq!(next(&mut storage), LandDone::Prepared(2, Prepared::SameMeta));
}

#[test]
fn file_that_was_there_and_could_not_be_synced_is_sent_again_and_not_synced_again() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let at = dir.path().join("f");
    // Nothing that can be opened to be read, or looked at, and not be synced, but a pipe.
    assert!(std::process::Command::new("mkfifo").arg(&at).status().unwrap().success());
    let mut same = stream(&root, "f", staged(&root));
    same.temp = None;
    let stat = root.dir.stat(b"f").unwrap().unwrap();
    same.same = Some(Box::new(Same { path: RelPath::parse(b"f").unwrap(), stat, root: None }));
    let (mut landing, mut told) = landing(&root, None);
    landing.commit(vec![(1, same)]);
    let ended = ends(&landing, &mut told);
    assert!(matches!(&ended[..], [(1, Some(error))] if error.text.starts_with("sync f: ")), "{ended:?}");
    fs::remove_file(&at).unwrap();
    fs::write(&at, "old").unwrap();
    lands_anew(&root, &offer_again(&root, &at, "f"));
    assert_eq!(fs::read(&at).unwrap(), b"new");
}

#[test]
#[cfg(all(target_os = "linux", not(feature = "portable-disk")))]
fn file_whose_folders_could_not_be_synced_is_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let name = "1/2/3/4/5/6/7/8/f";
    let (mut landing, mut told) = landing(&root, broken(dir.path()));
    landing.commit(vec![(1, stream(&root, name, staged(&root)))]);
    let ended = ends(&landing, &mut told);
    assert!(matches!(&ended[..], [(1, Some(error))] if error.text.starts_with("sync folder ")), "{ended:?}");
    let at = dir.path().join(name);
    fs::write(&at, "old").unwrap();
    lands_anew(&root, &offer_again(&root, &at, name));
}

#[test]
#[cfg(all(target_os = "linux", not(feature = "portable-disk")))]
fn file_that_is_there_and_may_not_be_opened_is_synced_with_everything() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let at = dir.path().join("f");
    fs::write(&at, "old").unwrap();
    fs::set_permissions(&at, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    as_mere_owner(|| assert_eq!(File::open(&at).unwrap_err().kind(), ErrorKind::PermissionDenied));
    let commit = |sync| {
        let mut same = stream(&root, "f", staged(&root));
        same.temp = None;
        let stat = root.dir.stat(b"f").unwrap().unwrap();
        same.same = Some(Box::new(Same { path: RelPath::parse(b"f").unwrap(), stat, root: None }));
        let (mut landing, mut told) = landing(&root, sync);
        as_mere_owner(|| landing.commit(vec![(1, same)]));
        ends(&landing, &mut told).pop().unwrap().1
    };
    let open = Some(Arc::new(Dir::open_ambient(dir.path()).unwrap()));
    assert_eq!(commit(open.clone()), None);
    assert!(commit(broken(dir.path())).is_some());
    assert!(commit(open).is_some(), "nothing can answer for it any more");
}
