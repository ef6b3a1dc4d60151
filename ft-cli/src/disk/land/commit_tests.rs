//! A sync that fails: no disk can be asked for one, so a pipe stands in for the file, which no system can sync.

use std::fs::{self, File};
use std::os::fd::OwnedFd;

use ft_core::frame::Compare;
use ft_core::frame::Offer;

use super::super::super::outbox;
use super::super::super::staging::partial_name;
use super::*;

#[test]
fn failed_sync_is_final_for_the_file_and_leaves_neither_name_nor_partial() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), "old").unwrap();
    let root = Root::open(dir.path()).unwrap();
    let path = RelPath::parse(b"f").unwrap();
    let meta = Meta { path: path.clone(), kind: Kind::File, size: Some(3), mode: None, mtime: None, target: vec![] };
    let offer = Offer { want: 0, meta, overwrite: Overwrite::Replace, compare: Compare::None, level: Level::Durable };
    let staging = root.staging().unwrap();
    let name = partial_name(&path);
    drop(staging.partials.create(&name, 0o600).unwrap());
    let (reader, writer) = io::pipe().unwrap();
    let file = Some(Arc::new(File::from(OwnedFd::from(writer))));
    let temp = Temp { staging, name, partial: true, lasting: true, file, waits: false, closed: None };
    let stream = Stream {
        meta: offer.meta,
        overwrite: offer.overwrite,
        level: offer.level,
        exists: true,
        candidate: 0,
        same: None,
        temp: Some(temp),
        hash: HashState::Known(ft_core::hash::Root::of(b"new")),
        prefix: (0, Vec::new()),
        position: Some(3),
        written: 3,
        reserved: None,
        flushed: 0,
        whole: false,
        broken: None,
        _name: root.take_name(&path).unwrap(),
        promise: None,
    };
    let (done, mut told) = outbox::pair();
    let mut landing = Landing {
        folders: Folders::new(Arc::clone(&root), Names::Apart),
        names: Names::Apart,
        fresh: Fresh::default(),
        root: Arc::clone(&root),
        sync: None,
        done,
    };
    landing.commit(vec![(7, Box::new(stream))]);
    landing.done.flush();
    drop(landing);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready((LandDone::Failed(7, 0, error), None)) = told.poll(&mut cx) else {
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
    drop(reader);
}
