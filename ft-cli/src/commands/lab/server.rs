//! A server's side of the lab dialects.

use std::path::PathBuf;
use std::sync::Arc;

use ft_core::dialect::addfile::{self, careful_server::Served};
use ft_core::dialect::{LabError, LabEvent, Outcome, pipe};

use super::files::DiskFiles;
use super::naive::FolderFiles;
use super::stream::{Prefixed, Silence};
use super::{log, text_end};
use crate::args::{LabStyle, TextStyle};
use crate::commands::client::Stream;
use crate::commands::serve::Who;
use crate::disk::{Policy, Root};
use crate::exit::Exit;
use crate::render::{Fact, Screen};

/// What a lab session of a server needs to know.
pub(in crate::commands) struct Serving {
    pub(in crate::commands) root: Arc<Root>,
    pub(in crate::commands) policy: Policy,
    pub(in crate::commands) screen: Screen,
    pub(in crate::commands) style: LabStyle,
    pub(in crate::commands) text: TextStyle,
    pub(in crate::commands) may_put: bool,
    pub(in crate::commands) may_get: bool,
    pub(in crate::commands) dir: PathBuf,
}

impl Serving {
    fn disk(&self) -> DiskFiles {
        DiskFiles::new(Arc::clone(&self.root), self.policy.clone(), self.may_put, self.may_get)
    }

    fn folder(&self) -> FolderFiles {
        FolderFiles { dir: self.dir.clone(), may_put: self.may_put, may_get: self.may_get }
    }
}

/// Serves one client of lab A.
pub(in crate::commands) async fn serve_pipe(stream: Stream, head: Vec<u8>, serving: &Serving, who: &Who) -> Exit {
    let stream = Prefixed::new(head, stream);
    let mut observer = |event: &LabEvent| log(&serving.screen, Some(who.number), event);
    let result = match serving.style {
        LabStyle::Careful => {
            let mut files = serving.disk();
            pipe::careful::receive(stream, &mut files, &mut Silence, &mut observer, pipe::Options::default())
                .await
                .map(|received| format!("stored {}, {} bytes", received.stored_as, received.metadata.size))
        }
        LabStyle::Naive => pipe::naive::receive(stream, &mut serving.folder()).await.map(|says| {
            let name = ft_core::path::escape(says.name.as_bytes());
            format!("says it saved {name}: {} bytes of {} stated", says.received, says.stated)
        }),
    };
    over(serving, who, result)
}

/// Serves one client of lab B.
pub(in crate::commands) async fn serve_addfile(stream: Stream, head: Vec<u8>, serving: &Serving, who: &Who) -> Exit {
    let stream = Prefixed::new(head, stream);
    let mut observer = |event: &LabEvent| log(&serving.screen, Some(who.number), event);
    observer(&LabEvent::Connected(who.peer));
    let result = match serving.style {
        LabStyle::Careful => {
            let mut files = serving.disk();
            let options = addfile::Options { text_end: text_end(serving.text), ..addfile::Options::default() };
            addfile::careful_server::serve(stream, &mut files, &mut Silence, &mut observer, options).await.map(
                |served| match served {
                    Served::Stored { stored_as, len, .. } => format!("stored {stored_as}, {len} bytes"),
                    Served::Sent { name, len } => format!("sent {name}, {len} bytes"),
                    Served::NotFound { name } => format!("has no {name}"),
                },
            )
        }
        LabStyle::Naive => {
            let end = text_end(serving.text);
            addfile::naive::serve(stream, &mut serving.folder(), &mut observer, end).await.map(|says| {
                let name = ft_core::path::escape(says.name.as_bytes());
                format!("says it served {} {name}: {} bytes", says.command.word(), says.body)
            })
        }
    };
    over(serving, who, result)
}

/// Beside the lab's own log, which is on standard output to the letter.
fn over(serving: &Serving, who: &Who, result: Result<String, LabError>) -> Exit {
    let (text, exit) = match result {
        Ok(text) => (text, Exit::Completed),
        Err(error) => {
            let exit = match error.outcome() {
                Outcome::Completed => Exit::Completed,
                Outcome::Failed => Exit::Failed,
                Outcome::Unknown => Exit::Unknown,
            };
            (error.to_string(), exit)
        }
    };
    serving.screen.fact(Some(who.number), &Fact::Note { text: format!("{} {text}", who.peer) });
    exit
}
