//! Names and paths: what is accepted stays beneath its root and fits a file system, and what is shown moves no cursor.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use arbitrary::Unstructured;
use ft_core::dialect::{Escaped, LabName};
use ft_core::limits::{MAX_COMPONENT, MAX_DEPTH, MAX_PATH};
use ft_core::path::{RelPath, escape};

use super::wire::{bytes, number};

/// The real program's names for keeping both; the file stands alone.
#[path = "../../ft-cli/src/disk/names.rs"]
mod disk;

/// Components, the number of a copy, then a path as a person types it.
pub fn names(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(count) = number(&mut u) else { return };
    let mut components = Vec::new();
    for _ in 0..count.min(200) {
        let Ok(component) = bytes(&mut u) else { return };
        components.push(component.to_vec());
    }
    let nth = u.arbitrary::<u32>().unwrap_or(0);
    let typed = u.take_rest();
    for text in components.iter().map(Vec::as_slice).chain([typed]) {
        shown(&escape(text));
        shown(&Escaped(text).to_string());
        component(text, nth);
    }
    if let Ok(path) = RelPath::new(components.clone()) {
        assert_eq!(path.components(), components);
        resolved(&path);
    }
    if let Ok(path) = RelPath::parse(typed) {
        resolved(&path);
    }
}

/// Both kinds of names agree about what one is, and its copies are names too.
fn component(name: &[u8], nth: u32) {
    let alone = RelPath::new(vec![name.to_vec()]);
    assert_eq!(LabName::new(name).is_ok(), alone.is_ok(), "both say the same of {name:?}");
    if alone.is_err() {
        return;
    }
    let copies = [0, nth, nth.wrapping_add(1)].map(|n| disk::candidate(name, n));
    assert_eq!(copies[0], name);
    for copy in &copies {
        assert!(copy.len() <= MAX_COMPONENT && RelPath::new(vec![copy.clone()]).is_ok(), "{copy:?} of {name:?}");
    }
    if nth > 0 && nth < u32::MAX {
        assert_ne!(copies[1], copies[2], "copies have names of their own");
        assert!(std::str::from_utf8(name).is_err() || std::str::from_utf8(&copies[1]).is_ok(), "whole characters");
    }
}

/// INSIDE, as far as text goes: joined to a root it is beneath it, component by component.
fn resolved(path: &RelPath) {
    assert!(path.components().len() <= MAX_DEPTH && path.byte_len() <= MAX_PATH);
    let (bytes, root) = (path.to_bytes(), Path::new("/srv"));
    assert_eq!(bytes.len(), path.byte_len());
    let whole = root.join(OsStr::from_bytes(&bytes));
    let beneath: Vec<_> = whole.strip_prefix(root).expect("beneath").components().collect();
    let own = path.components().iter().map(|c| Component::Normal(OsStr::from_bytes(c)));
    assert!(beneath.iter().copied().eq(own), "{path:?} is not what a file system would take it for");
    assert_eq!(RelPath::parse(&bytes).as_ref(), Ok(path), "it reads back");
    shown(&path.to_string());
    let (parent, name) = (path.parent().unwrap_or_default(), path.name());
    match name {
        Some(name) => assert_eq!(parent.join(name).as_ref(), Ok(path)),
        None => assert!(path.is_root()),
    }
    assert_eq!(RelPath::root().concat(path).as_ref(), Ok(path));
}

/// Nothing in it reorders, hides or moves anything on a terminal.
fn shown(text: &str) {
    let harm = |c: char| {
        let marks = matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        c.is_control() || marks || matches!(c, '\u{2028}'..='\u{202e}')
    };
    assert!(!text.contains(harm), "{text:?} is not safe to show");
}
