//! A disk with the memory of a real one: what was not synced may be lost or torn when the power fails.
//!
//! One folder of files. Content and names are separate things, as in every file system: a file's bytes are safe after
//! [`Disk::sync`], its name after [`Disk::sync_folder`]. What a power cut does to the rest is said by two values
//! ([`Keeps`]): one for the bytes of all files alike (lost, kept, torn, zeroed), one for the changes of names (none, all,
//! only the first, only the last). Sixteen combinations, each of which a real disk can show; that one file's bytes are
//! kept while another's are lost is not among them, nor is an arbitrary subset of names. No promise here ties one file's
//! bytes to another's; a receiver that keeps a journal would need such mixtures.
//!
//! A chosen call can fail, or write less than it was given. Bytes that a failed sync was for are never made safe by
//! another: the system may have dropped them, and taken note. A handle from before a power cut reaches nothing any more.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::rc::Rc;

/// What a power cut leaves of what was not synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keeps {
    /// Of changes to names.
    pub names: Names,
    /// Of bytes.
    pub bytes: Bytes,
}

/// Changes to names that survive without a sync of the folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// None.
    #[default]
    Lost,
    /// All.
    Kept,
    /// Only the first of them.
    First,
    /// Only the last of them, though others came before it.
    Last,
}

/// Bytes that survive without a sync of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bytes {
    /// None.
    #[default]
    Lost,
    /// All.
    Kept,
    /// The first half.
    Torn,
    /// The length, with zeros in place of the bytes.
    Zeroed,
}

impl Keeps {
    /// How many combinations there are of each kind, for a case that lets a search choose.
    pub const KINDS: u32 = 4;

    /// The combination of two choices below [`Keeps::KINDS`]; larger ones count as 0.
    #[must_use]
    pub fn from_choices(names: u32, bytes: u32) -> Self {
        let names = match names {
            1 => Names::Kept,
            2 => Names::First,
            3 => Names::Last,
            _ => Names::Lost,
        };
        let bytes = match bytes {
            1 => Bytes::Kept,
            2 => Bytes::Torn,
            3 => Bytes::Zeroed,
            _ => Bytes::Lost,
        };
        Self { names, bytes }
    }
}

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFault {
    /// It fails for want of room.
    Full,
    /// It fails.
    Error,
    /// A write takes half of what it is given, at least a byte; other calls go through.
    Short,
    /// The power fails before it does anything.
    PowerCut,
}

/// A file that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File(usize);

#[derive(Debug, Default)]
struct Inode {
    content: Vec<u8>,
    /// As of the last sync.
    safe: Vec<u8>,
    /// What a failed sync was for: reads still give it, no later sync writes it.
    dropped: Vec<Range<usize>>,
}

impl Inode {
    /// A sync that succeeds. What was dropped before is zeros on the disk.
    fn make_safe(&mut self) {
        self.safe.clone_from(&self.content);
        for range in &self.dropped {
            self.safe[range.clone()].fill(0);
        }
    }

    /// A sync that fails.
    fn drop_unsafe(&mut self) {
        let from = self.safe.len();
        if from < self.content.len() {
            self.dropped.push(from..self.content.len());
        }
    }
}

/// A change to the folder that no sync has made safe.
#[derive(Debug)]
enum Change {
    Put(String, usize),
    Rename(String, String),
    Remove(String),
}

#[derive(Debug, Default)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    safe_names: BTreeMap<String, usize>,
    changes: Vec<Change>,
    /// Names that a session is writing.
    busy: BTreeSet<String>,
    calls: u64,
    fault: Option<(u64, CallFault)>,
    room: Option<u64>,
    keeps: Keeps,
    /// Power cuts so far.
    cuts: u32,
}

/// A handle on a disk, good until the next power cut.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    state: Rc<RefCell<State>>,
    cut: u32,
}

impl Disk {
    /// An empty disk that loses everything that was not synced.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What the next power cuts keep.
    pub fn set_keeps(&self, keeps: Keeps) {
        self.state.borrow_mut().keeps = keeps;
    }

    /// The `nth` call from now, counted from 1, goes wrong.
    pub fn set_fault(&self, nth: u64, fault: CallFault) {
        let mut state = self.state.borrow_mut();
        state.fault = Some((state.calls + nth, fault));
    }

    /// No call goes wrong any more.
    pub fn clear_fault(&self) {
        self.state.borrow_mut().fault = None;
    }

    /// Bytes that may still be written.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.state.borrow_mut().room = bytes;
    }

    /// Puts a file there, safe.
    pub fn put(&self, name: &str, content: &[u8]) {
        let mut state = self.state.borrow_mut();
        state.inodes.push(Inode { content: content.to_vec(), safe: content.to_vec(), dropped: Vec::new() });
        let inode = state.inodes.len() - 1;
        state.names.insert(name.to_owned(), inode);
        state.safe_names.insert(name.to_owned(), inode);
    }

    /// The power fails: what is left is what was safe, and what [`Keeps`] says. Handles from before are dead; the one
    /// returned is a boot later.
    #[must_use]
    pub fn power_cut(&self) -> Self {
        let mut guard = self.state.borrow_mut();
        let state = &mut *guard;
        let changes = std::mem::take(&mut state.changes);
        let last = changes.len().saturating_sub(1);
        for (nth, change) in changes.into_iter().enumerate() {
            let kept = match state.keeps.names {
                Names::Lost => false,
                Names::Kept => true,
                Names::First => nth == 0,
                Names::Last => nth == last,
            };
            if kept {
                apply(&mut state.safe_names, &change, &state.names);
            }
        }
        state.names = state.safe_names.clone();
        for inode in &mut state.inodes {
            let safe = inode.safe.len();
            match state.keeps.bytes {
                Bytes::Lost => inode.content.clone_from(&inode.safe),
                Bytes::Kept => {}
                Bytes::Torn => inode.content.truncate(safe + inode.content.len().saturating_sub(safe) / 2),
                Bytes::Zeroed => inode.content.iter_mut().skip(safe).for_each(|byte| *byte = 0),
            }
            if !inode.dropped.is_empty() {
                inode.content[..safe].copy_from_slice(&inode.safe);
                inode.dropped.clear();
            }
            inode.safe.clone_from(&inode.content);
        }
        state.busy.clear();
        state.cuts += 1;
        Self { state: Rc::clone(&self.state), cut: state.cuts }
    }

    /// The handle after all power cuts so far.
    #[must_use]
    pub fn rebooted(&self) -> Self {
        Self { state: Rc::clone(&self.state), cut: self.state.borrow().cuts }
    }

    /// Calls `see` for every file, in the order of names.
    pub fn each(&self, mut see: impl FnMut(&str, &[u8])) {
        let state = self.state.borrow();
        for (name, inode) in &state.names {
            see(name, &state.inodes[*inode].content);
        }
    }

    /// What is under a name.
    #[must_use]
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state.borrow();
        state.names.get(name).map(|inode| state.inodes[*inode].content.clone())
    }

    /// Marks a name as being written by one session; false if another does.
    #[must_use]
    pub fn lock(&self, name: &str) -> bool {
        self.alive().is_ok() && self.state.borrow_mut().busy.insert(name.to_owned())
    }

    /// Gives a name free again.
    pub fn unlock(&self, name: &str) {
        if self.alive().is_ok() {
            self.state.borrow_mut().busy.remove(name);
        }
    }

    /// Opens a new, empty file under a name, in place of what was there.
    ///
    /// # Errors
    ///
    /// The fault that was set; a dead handle.
    pub fn create(&self, name: &str) -> io::Result<File> {
        self.call()?;
        let mut state = self.state.borrow_mut();
        state.inodes.push(Inode::default());
        let inode = state.inodes.len() - 1;
        state.names.insert(name.to_owned(), inode);
        state.changes.push(Change::Put(name.to_owned(), inode));
        Ok(File(inode))
    }

    /// Appends bytes and says how many it took.
    ///
    /// # Errors
    ///
    /// No room, the fault that was set, or a dead handle.
    pub fn write(&self, file: File, bytes: &[u8]) -> io::Result<usize> {
        let short = self.call()?;
        let mut state = self.state.borrow_mut();
        let mut take = if short { bytes.len().div_ceil(2) } else { bytes.len() };
        if let Some(room) = &mut state.room {
            take = take.min(usize::try_from(*room).unwrap_or(usize::MAX));
            if take == 0 && !bytes.is_empty() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            *room -= take as u64;
        }
        state.inodes[file.0].content.extend_from_slice(&bytes[..take]);
        Ok(take)
    }

    /// Makes a file's bytes safe.
    ///
    /// # Errors
    ///
    /// The fault that was set; a dead handle. Nothing is known of the bytes then, and a second sync proves nothing.
    pub fn sync(&self, file: File) -> io::Result<()> {
        let called = self.call();
        let mut state = self.state.borrow_mut();
        match called {
            Ok(_) => state.inodes[file.0].make_safe(),
            // After a power cut this would be another boot's file.
            Err(_) if self.cut == state.cuts => state.inodes[file.0].drop_unsafe(),
            Err(_) => {}
        }
        called.map(drop)
    }

    /// Gives a file another name, in place of what had it, in one step.
    ///
    /// # Errors
    ///
    /// There is no such file; the fault that was set; a dead handle.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.call()?;
        let mut state = self.state.borrow_mut();
        let inode = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), inode);
        state.changes.push(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    /// Removes a file, if it is there. Never fails: cleaning up is nobody's promise.
    pub fn remove(&self, name: &str) {
        if self.alive().is_ok() {
            let mut state = self.state.borrow_mut();
            if state.names.remove(name).is_some() {
                state.changes.push(Change::Remove(name.to_owned()));
            }
        }
    }

    /// Makes all names safe.
    ///
    /// # Errors
    ///
    /// The fault that was set; a dead handle.
    pub fn sync_folder(&self) -> io::Result<()> {
        self.call()?;
        let mut state = self.state.borrow_mut();
        state.changes.clear();
        state.safe_names = state.names.clone();
        Ok(())
    }

    /// False once the power has failed since this handle was opened.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.cut == self.state.borrow().cuts
    }

    fn alive(&self) -> io::Result<()> {
        if self.is_alive() {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::NotConnected, "the power failed since this was opened"))
        }
    }

    /// Counts a call; true if it must be short.
    fn call(&self) -> io::Result<bool> {
        self.alive()?;
        let mut state = self.state.borrow_mut();
        state.calls += 1;
        match state.fault {
            Some((nth, CallFault::PowerCut)) if nth == state.calls => {
                drop(state);
                drop(self.power_cut());
                self.alive().map(|()| false)
            }
            Some((nth, fault)) if nth == state.calls => match fault {
                CallFault::PowerCut => unreachable!("handled above"),
                CallFault::Full => Err(io::ErrorKind::StorageFull.into()),
                CallFault::Error => Err(io::Error::other("input/output error")),
                CallFault::Short => Ok(true),
            },
            Some(_) | None => Ok(false),
        }
    }
}

/// Replays one change on the safe names. A rename whose creation was lost finds its file by what the names said last.
fn apply(names: &mut BTreeMap<String, usize>, change: &Change, latest: &BTreeMap<String, usize>) {
    match change {
        Change::Put(name, inode) => drop(names.insert(name.clone(), *inode)),
        Change::Rename(from, to) => {
            let inode = names.remove(from).or_else(|| latest.get(to).copied());
            if let Some(inode) = inode {
                names.insert(to.clone(), inode);
            }
        }
        Change::Remove(name) => drop(names.remove(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_keeps() -> impl Iterator<Item = Keeps> {
        (0..Keeps::KINDS).flat_map(|names| (0..Keeps::KINDS).map(move |bytes| Keeps::from_choices(names, bytes)))
    }

    /// Replaces "f" step by step, the power failing after `steps` of them.
    fn replace(keeps: Keeps, steps: usize) -> Option<Vec<u8>> {
        let disk = Disk::new();
        disk.put("f", b"old");
        disk.set_keeps(keeps);
        let file = disk.create(".f").unwrap();
        disk.write(file, b"new content").unwrap();
        for step in 0..steps {
            match step {
                0 => disk.sync(file).unwrap(),
                1 => disk.rename(".f", "f").unwrap(),
                _ => disk.sync_folder().unwrap(),
            }
        }
        disk.power_cut().content("f")
    }

    #[test]
    fn file_replaced_in_the_right_order_is_old_or_new_after_any_power_cut() {
        for keeps in all_keeps() {
            for steps in 0..=3 {
                let content = replace(keeps, steps).unwrap();
                let is_new = content == b"new content";
                assert!(is_new || content == b"old", "{keeps:?} after {steps}: {content:?}");
                assert!(is_new || steps < 3, "{keeps:?}: lost after the folder was synced");
            }
        }
    }

    #[test]
    fn rename_without_a_sync_of_the_file_may_leave_an_empty_file() {
        let disk = Disk::new();
        disk.put("f", b"old");
        disk.set_keeps(Keeps { names: Names::Kept, bytes: Bytes::Lost });
        let file = disk.create(".f").unwrap();
        disk.write(file, b"new").unwrap();
        disk.rename(".f", "f").unwrap();
        assert_eq!(disk.power_cut().content("f"), Some(Vec::new()));
    }

    #[test]
    fn chosen_call_fails_once_and_a_short_write_takes_half() {
        let disk = Disk::new();
        let file = disk.create("f").unwrap();
        disk.set_fault(1, CallFault::Short);
        assert_eq!(disk.write(file, b"abc").unwrap(), 2);
        disk.set_fault(2, CallFault::Error);
        assert_eq!(disk.write(file, b"c").unwrap(), 1);
        assert!(disk.sync(file).is_err());
        assert!(disk.sync(file).is_ok());
    }

    #[test]
    fn sync_after_one_that_failed_makes_nothing_safe_that_the_first_was_for() {
        for keeps in all_keeps() {
            let disk = Disk::new();
            disk.set_keeps(keeps);
            let file = disk.create("f").unwrap();
            disk.write(file, b"first").unwrap();
            disk.set_fault(1, CallFault::Error);
            assert!(disk.sync(file).is_err());
            disk.write(file, b", then").unwrap();
            assert!(disk.sync(file).is_ok(), "the second says nothing of it");
            disk.sync_folder().unwrap();
            assert_eq!(disk.content("f").unwrap(), b"first, then", "nor does a read");
            assert_eq!(disk.power_cut().content("f").unwrap(), b"\0\0\0\0\0, then", "{keeps:?}");
        }
    }

    #[test]
    fn handle_from_before_a_power_cut_is_dead() {
        let disk = Disk::new();
        let rebooted = disk.power_cut();
        assert!(disk.create("f").is_err());
        assert!(rebooted.create("f").is_ok());
    }
}
