//! Walking what is to be sent: depth first, names in the order of their bytes, a folder after everything in it.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::vec;

use ft_core::error::{Code, FileError, Retry};
use ft_core::frame::{Kind, Links, Meta};
use ft_core::path::RelPath;

use super::super::fault::{fault, internal, through_link};
use super::super::root::Root;
use super::super::staging::is_reserved;
use super::super::sys::{self, Dir, Stat, Through, What};
use super::super::{Note, limits};
use super::among::{Among, folder_of, sent_as};
use super::item::{Entry, Origin};
use super::{Skip, WalkOptions};

type Components = Vec<Vec<u8>>;

/// The walk of one want.
pub(super) struct Walk {
    starts: vec::IntoIter<Start>,
    /// Folders that are being walked, outermost first.
    stack: Vec<Level>,
    options: WalkOptions,
    links: Links,
    /// What else the same command sends, if names can meet.
    among: Option<Among>,
    skip: Skip,
    /// Components of an offered path that the user's patterns do not know.
    into: usize,
    /// A want names one thing: then a link instead of it is an error. A push only says a word.
    strict: bool,
    /// The first thing that could not be walked.
    failed: Option<FileError>,
}

/// One thing that was asked for.
enum Start {
    /// A path of this computer.
    Ambient(PathBuf, RelPath),
    /// Something beneath the served root.
    Beneath {
        root: Arc<Root>,
        at: Components,
        depth: u16,
    },
    Never(FileError),
}

/// A folder that is being walked.
struct Level {
    base: Arc<Dir>,
    at: Components,
    path: RelPath,
    dir: Dir,
    names: vec::IntoIter<(Vec<u8>, Option<What>)>,
    stat: Stat,
    /// Levels of folders that may be entered beneath.
    depth: u16,
    /// Offered itself when all in it is.
    offered: bool,
}

type Found = (Entry, Meta);

impl Walk {
    pub(super) fn push(paths: Vec<PathBuf>, into: RelPath, options: WalkOptions, skip: Skip) -> Self {
        let prefix = into.components().len();
        let starts: Vec<_> = paths.into_iter().map(|path| Start::Ambient(path, into.clone())).collect();
        Self::new(starts, options.links, options, skip, prefix, false)
    }

    pub(super) fn serve(root: Arc<Root>, path: &RelPath, depth: u16, links: Links, options: WalkOptions) -> Self {
        let start = if path.components().iter().any(|c| is_reserved(c) || !sys::storable(c)) {
            Start::Never(fault("open", path, &ErrorKind::NotFound.into()))
        } else {
            Start::Beneath { root, at: path.components().to_vec(), depth }
        };
        Self::new(vec![start], links, options, Box::new(|_| false), 0, true)
    }

    fn new(starts: Vec<Start>, links: Links, options: WalkOptions, skip: Skip, into: usize, strict: bool) -> Self {
        let among = Among::new(options.among.clone(), links, through(links, strict));
        Self { starts: starts.into_iter(), stack: Vec::new(), options, links, among, skip, into, strict, failed: None }
    }

    /// At most `max` entries, and how it ended if it did.
    pub(super) fn next(&mut self, max: usize) -> (Vec<Found>, Option<Result<(), FileError>>) {
        let mut found = Vec::new();
        while found.len() < max.max(1) {
            if let Some(level) = self.stack.last_mut() {
                match level.names.next() {
                    Some((name, what)) => found.extend(self.visit(&name, what)),
                    None => found.extend(self.leave()),
                }
            } else if let Some(start) = self.starts.next() {
                match self.start(start) {
                    Ok(entry) => found.extend(entry),
                    Err((path, error)) => self.unreadable(path, error),
                }
            } else {
                return (found, Some(self.failed.take().map_or(Ok(()), Err)));
            }
        }
        (found, None)
    }

    fn through(&self) -> Through {
        through(self.links, self.strict)
    }

    fn start(&mut self, start: Start) -> Result<Option<Found>, (RelPath, FileError)> {
        match start {
            Start::Never(error) => Err((RelPath::root(), error)),
            Start::Ambient(path, into) => {
                let bad = |e: FileError| (into.clone(), e);
                let shown = ft_core::path::escape(path.as_os_str().as_encoded_bytes());
                let system = |e: &std::io::Error| {
                    let named = fault("open", &RelPath::root(), e);
                    FileError::new(named.code, named.retry, format!("open {shown}: {e}"))
                };
                if let Some(among) = &mut self.among {
                    among.begin(&path);
                }
                let Some(name) = sent_as(&path) else {
                    // `.`, `..`, `/` or `folder/.`: what is in it.
                    let base = Arc::new(Dir::open_ambient(&path).map_err(|e| bad(system(&e)))?);
                    return self.enter(&base, Vec::new(), into.clone(), u16::MAX, false).map(|()| None).map_err(bad);
                };
                let name = sys::component(name);
                let base = Arc::new(Dir::open_ambient(folder_of(&path)).map_err(|e| bad(system(&e)))?);
                let offered = into.join(&name).map_err(|e| bad(bad_name(&shown, &e)))?;
                match base.stat(&name) {
                    Ok(Some(stat)) => Ok(self.take(&base, vec![name], offered, stat, u16::MAX)),
                    Ok(None) => Err((offered, system(&ErrorKind::NotFound.into()))),
                    Err(e) => Err((offered, system(&e))),
                }
            }
            Start::Beneath { root, at, depth } => {
                let whole = RelPath::new(at.clone()).unwrap_or_default();
                let base = root.dir.folder(&[], Through::NoLinks).map(Arc::new);
                let base = base.map_err(|e| (whole.clone(), fault("open", &whole, &e)))?;
                let Some((name, above)) = at.split_last() else {
                    return self.enter(&base, at, RelPath::root(), depth, false).map(|()| None).map_err(|e| (whole, e));
                };
                let stat = base.folder(above, self.through()).and_then(|parent| parent.stat(name));
                let stat = match stat {
                    Ok(Some(stat)) => Ok(stat),
                    Ok(None) => Err(fault("open", &whole, &ErrorKind::NotFound.into())),
                    // A file where a folder would have to be: what was wanted is not there.
                    Err(e) if e.kind() == ErrorKind::NotADirectory => {
                        Err(fault("open", &whole, &ErrorKind::NotFound.into()))
                    }
                    Err(e) => Err(fault("open", &whole, &e)),
                };
                let stat = stat.map_err(|e| (whole.clone(), e))?;
                if stat.what == What::Link && self.links == Links::Skip {
                    return Err((whole.clone(), through_link(&whole)));
                }
                if let What::Special(what) = stat.what {
                    let text = format!("{whole} is {what}");
                    return Err((whole, FileError::new(Code::UnsupportedKind, Retry::Never, text)));
                }
                let offered = RelPath::new(vec![name.clone()]).map_err(|e| (whole.clone(), internal(e.to_string())))?;
                Ok(self.take(&base, at, offered, stat, depth))
            }
        }
    }

    /// The next name of the innermost folder.
    fn visit(&mut self, name: &[u8], what: Option<What>) -> Option<Found> {
        let level = self.stack.last()?;
        let path = match level.path.join(name) {
            Ok(path) => path,
            Err(e) => {
                let shown = ft_core::path::escape(name);
                let error = bad_name(&format!("{}/{shown}", level.path), &e);
                self.unreadable(level.path.clone(), error);
                return None;
            }
        };
        if let Some(filter) = &self.options.filter {
            let local =
                RelPath::new(path.components().get(self.into..).unwrap_or_default().to_vec()).unwrap_or_default();
            let folder_or_link = what != Some(What::File);
            if !(filter.wants(&local) || folder_or_link && filter.enters(&local)) {
                return None;
            }
        }
        match level.dir.stat(name) {
            Ok(Some(stat)) => {
                let (base, mut at, depth) = (Arc::clone(&level.base), level.at.clone(), level.depth);
                at.push(name.to_vec());
                self.take(&base, at, path, stat, depth)
            }
            // Removed since the folder was read.
            Ok(None) => None,
            Err(e) => {
                let error = fault("look at", &path, &e);
                self.unreadable(path, error);
                None
            }
        }
    }

    /// Offers a file or a link, enters a folder, says a word about everything else.
    fn take(&mut self, base: &Arc<Dir>, at: Components, path: RelPath, stat: Stat, depth: u16) -> Option<Found> {
        match stat.what {
            What::File => self.offer_file(base, at, path, stat),
            What::Folder => self.take_folder(base, at, path, stat, depth),
            What::Special(what) => {
                self.note(Note::SkippedSpecial(path, what));
                None
            }
            What::Link => match self.links {
                Links::Skip => {
                    self.note(Note::SkippedLink(path, "links are sent only if asked for"));
                    None
                }
                Links::Keep => self.offer_link(base, &at, path, stat),
                Links::Follow => match base.stat_through(&at, self.through()) {
                    Ok(Stat { what: What::Link, .. }) => {
                        self.note(Note::SkippedLink(path, "it cannot be followed"));
                        None
                    }
                    Ok(target) => self.take(base, at, path, target, depth),
                    Err(e) if sys::is_through_link(&e) => {
                        self.note(Note::SkippedLink(path, "it leads out of the folder"));
                        None
                    }
                    // In a circle, too, nothing is where it leads.
                    Err(e)
                        if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) || sys::is_circle(&e) =>
                    {
                        self.note(Note::SkippedLink(path, "nothing is where it leads"));
                        None
                    }
                    Err(e) => {
                        let error = fault("follow", &path, &e);
                        self.unreadable(path, error);
                        None
                    }
                },
            },
        }
    }

    fn take_folder(&mut self, base: &Arc<Dir>, at: Components, path: RelPath, stat: Stat, depth: u16) -> Option<Found> {
        if is_reserved(at.last()?) {
            return None;
        }
        if depth == 0 {
            return self.offer(&path, Kind::Folder, &stat, Vec::new(), Origin::Nothing);
        }
        // Only a followed link can lead back up. Where the system has no file numbers, the depth of paths is the bound.
        if stat.inode != 0 && self.stack.iter().any(|l| (l.stat.device, l.stat.inode) == (stat.device, stat.inode)) {
            self.note(Note::SkippedLink(path, "it leads back to a folder that it is in"));
            return None;
        }
        if self.is_taken(&path, Kind::Folder) {
            return None;
        }
        if let Err(error) = self.enter(base, at, path.clone(), depth, true) {
            self.unreadable(path, error);
        }
        None
    }

    fn enter(
        &mut self,
        base: &Arc<Dir>,
        at: Components,
        path: RelPath,
        depth: u16,
        offered: bool,
    ) -> Result<(), FileError> {
        let failed = |e: &std::io::Error| fault("read folder", &path, e);
        let dir = base.folder(&at, self.through()).map_err(|e| failed(&e))?;
        let stat = dir.stat_self().map_err(|e| failed(&e))?;
        let mut names = if depth == 0 { Vec::new() } else { dir.names().map_err(|e| failed(&e))? };
        names.retain(|(name, _)| !is_reserved(name));
        names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let depth = if depth == u16::MAX { depth } else { depth.saturating_sub(1) };
        self.stack.push(Level {
            base: Arc::clone(base),
            at,
            path,
            dir,
            names: names.into_iter(),
            stat,
            depth,
            offered,
        });
        Ok(())
    }

    fn leave(&mut self) -> Option<Found> {
        let level = self.stack.pop()?;
        let again = |among: &Among| among.comes_again(level.path.components().get(self.into..).unwrap_or_default());
        if !level.offered || self.among.as_ref().is_some_and(again) {
            return None;
        }
        // Its times are those of before: what is sent later is found changed when it is read.
        self.offer(&level.path, Kind::Folder, &level.stat, Vec::new(), Origin::Nothing)
    }

    fn offer_file(&mut self, base: &Arc<Dir>, at: Components, path: RelPath, stat: Stat) -> Option<Found> {
        let origin = Origin::File { base: Arc::clone(base), at, through: self.through(), stat };
        self.offer(&path, Kind::File, &stat, Vec::new(), origin)
    }

    fn offer_link(&mut self, base: &Arc<Dir>, at: &[Vec<u8>], path: RelPath, stat: Stat) -> Option<Found> {
        let (name, above) = at.split_last()?;
        let target = base.folder(above, self.through()).and_then(|parent| parent.read_link(name));
        match target {
            Ok(target) if target.len() <= limits::MAX_TARGET => {
                self.offer(&path, Kind::Link, &stat, target, Origin::Nothing)
            }
            Ok(_) => {
                self.note(Note::SkippedLink(path, "its target is too long"));
                None
            }
            Err(e) => {
                let error = fault("read link", &path, &e);
                self.unreadable(path, error);
                None
            }
        }
    }

    fn offer(&mut self, path: &RelPath, kind: Kind, stat: &Stat, target: Vec<u8>, origin: Origin) -> Option<Found> {
        // Before what is done is left out: that may be what has taken the name.
        // A folder that is done is offered again: whatever came into it since has changed its time.
        if kind != Kind::Folder && (self.is_taken(path, kind) || (self.skip)(path)) || !self.is_wanted(path) {
            return None;
        }
        let meta = Meta {
            path: path.clone(),
            kind,
            size: Some(if kind == Kind::File { stat.size } else { 0 }),
            // The mode of a link says nothing.
            mode: (kind != Kind::Link).then_some(stat.mode),
            mtime: Some(stat.mtime),
            target,
        };
        Some((Entry::new(path.clone(), origin), meta))
    }

    fn is_wanted(&self, path: &RelPath) -> bool {
        let Some(filter) = &self.options.filter else { return true };
        let local = path.components().get(self.into..).unwrap_or_default().to_vec();
        filter.wants(&RelPath::new(local).unwrap_or_default())
    }

    /// Whether another argument sends something else under this name; then a word is said about it.
    fn is_taken(&mut self, path: &RelPath, kind: Kind) -> bool {
        let local = path.components().get(self.into..).unwrap_or_default();
        let taken = self.among.as_ref().and_then(|among| among.taken(local, kind == Kind::Folder));
        let Some((this, other)) = taken.filter(|_| self.is_wanted(path)) else { return false };
        let [this, other] = [this, other].map(|p| ft_core::path::escape(p.as_os_str().as_encoded_bytes()));
        let text = format!("{this} is not sent: {other} has the same name at the other side");
        let error = FileError::new(Code::Exists, Retry::Never, text);
        self.failed.get_or_insert_with(|| error.clone());
        self.note(Note::SameName(path.clone(), this, error));
        true
    }

    fn unreadable(&mut self, path: RelPath, error: FileError) {
        self.failed.get_or_insert_with(|| error.clone());
        self.note(Note::Unreadable(path, error));
    }

    fn note(&self, note: Note) {
        if let Some(notes) = &self.options.notes {
            notes(note);
        }
    }
}

fn through(links: Links, strict: bool) -> Through {
    match (links, strict) {
        (Links::Skip | Links::Keep, _) => Through::NoLinks,
        (Links::Follow, true) => Through::LinksInside,
        (Links::Follow, false) => Through::LinksAnywhere,
    }
}

fn bad_name(shown: &str, e: &ft_core::path::BadPath) -> FileError {
    FileError::new(Code::BadName, Retry::Never, format!("{shown}: {e}"))
}
