//! A client's side of the lab dialects: one file a connection.

use std::path::Path;

use ft_core::dialect::addfile::{self, careful_client, naive};
use ft_core::dialect::{LabError, LabEvent, LabName, Outcome, pipe};
use tokio::fs::File;

use super::files::DiskFiles;
use super::stream::Silence;
use super::{log, text_end};
use crate::args::{ClientDialect, LabRequest, LabStyle, Transfer};
use crate::commands::client::{self, Stream, conclude};
use crate::commands::get::{Dest, Plan};
use crate::commands::put::{self, from_stdin, shown};
use crate::disk::Policy;
use crate::exit::{Exit, Stop};
use crate::limits::NAIVE_MAX;
use crate::render::{Counts, Fact, Screen};

/// Options that only ft/1 has a meaning for are refused, not ignored.
fn check(transfer: &Transfer) -> Result<(), Stop> {
    let refuse = |option: &str| Err(Stop::usage(format_args!("{option} has no meaning in a lab dialect")));
    match () {
        () if transfer.dry_run => refuse("--dry-run"),
        () if transfer.checksum => refuse("--checksum"),
        () if !transfer.include.is_empty() || !transfer.exclude.is_empty() => refuse("--include or --exclude"),
        () if transfer.jobs > 1 => refuse("--jobs"),
        () => Ok(()),
    }
}

/// Sends files, one connection each. Nothing is retried: no lab protocol says what arrived.
pub(in crate::commands) async fn put(args: &put::Plan, screen: &Screen) -> Result<Exit, Stop> {
    check(&args.transfer)?;
    if from_stdin(args) {
        return Err(Stop::usage("standard input (-) needs the dialect ft1"));
    }
    if !args.target.path.is_root() {
        return Err(Stop::usage("a lab server has no folders: expected HOST[:PORT]"));
    }
    let mut counts = Counts::default();
    for path in &args.paths {
        let sent = put_one(path, args, screen).await;
        let outcome = match sent {
            Ok((bytes, outcome)) => {
                counts.bytes += bytes;
                outcome
            }
            Err(Failure::Setup(text)) => return conclude(screen, "sent", Err(text), counts),
            Err(Failure::Lab(error)) => {
                screen.fact(None, &Fact::Note { text: format!("{}: {error}", shown(path)) });
                error.outcome()
            }
        };
        match outcome {
            Outcome::Completed => counts.completed += 1,
            Outcome::Failed => counts.failed += 1,
            Outcome::Unknown => counts.unknown += 1,
        }
    }
    explain(screen, counts);
    let ended = if counts.failed > 0 { Err("not everything was sent".into()) } else { Ok(()) };
    conclude(screen, "confirmed", ended, counts)
}

/// Why a lab transfer so often ends without a result.
fn explain(screen: &Screen, counts: Counts) {
    if counts.unknown > 0 {
        let text = "this dialect has no word for \"it arrived\"; the dialect ft1 has";
        screen.fact(None, &Fact::Note { text: text.into() });
    }
}

enum Failure {
    /// Before the dialect said a word.
    Setup(String),
    /// In the dialect.
    Lab(LabError),
}

impl From<LabError> for Failure {
    fn from(error: LabError) -> Self {
        Self::Lab(error)
    }
}

async fn put_one(path: &Path, args: &put::Plan, screen: &Screen) -> Result<(u64, Outcome), Failure> {
    let setup = |e: std::io::Error| Failure::Setup(format!("cannot read {}: {e}", shown(path)));
    let mut file = File::open(path).await.map_err(setup)?;
    let meta = file.metadata().await.map_err(setup)?;
    if !meta.is_file() {
        return Err(Failure::Setup(format!("{} is no file, and a lab dialect carries files only", shown(path))));
    }
    let raw = path.file_name().unwrap_or_default().as_encoded_bytes();
    let name = LabName::new(raw).map_err(|e| Failure::Setup(format!("{}: {e}", shown(path))))?;
    let transfer = &args.transfer;
    let stream = client::dial_lab(&args.target.endpoint, &transfer.connection, transfer.rate.as_ref())
        .await
        .map_err(Failure::Setup)?;
    let mut observer = |event: &LabEvent| log(screen, Some(1), event);
    let end = text_end(transfer.speak.text);
    if transfer.speak.lab == LabStyle::Naive {
        if meta.len() > NAIVE_MAX {
            return Err(Failure::Setup(format!("{} is larger than a naive program is imitated with", shown(path))));
        }
        let data = tokio::fs::read(path).await.map_err(setup)?;
        return Ok(put_naive(stream, &name, &data, args).await?);
    }
    let options = addfile::Options { text_end: end, ..addfile::Options::default() };
    let sent = match (transfer.speak.dialect, args.request) {
        (ClientDialect::Pipe | ClientDialect::Ft1, _) => {
            let options = pipe::Options { text_end: end, ..pipe::Options::default() };
            let sent =
                pipe::careful::send(stream, &name, meta.len(), &mut file, &mut Silence, &mut observer, options).await?;
            return Ok((sent.body, sent.outcome()));
        }
        (ClientDialect::Addfile, LabRequest::Addfile) => {
            careful_client::addfile(stream, &name, &mut file, &mut Silence, &mut observer, options).await?
        }
        (ClientDialect::Addfile, LabRequest::Upload) => {
            careful_client::upload(stream, &name, &mut file, &mut Silence, &mut observer, options).await?
        }
    };
    Ok((sent.body, sent.outcome()))
}

/// A naive program exits with 0 whatever became of the file; what we say of it is what can be known.
async fn put_naive(stream: Stream, name: &LabName, data: &[u8], args: &put::Plan) -> Result<(u64, Outcome), LabError> {
    let end = text_end(args.transfer.speak.text);
    let text = String::from_utf8_lossy(name.as_bytes());
    match (args.transfer.speak.dialect, args.request) {
        (ClientDialect::Pipe | ClientDialect::Ft1, _) => {
            let says = pipe::naive::send(stream, name.as_bytes(), data, end).await?;
            Ok((says.body, if says.acked { Outcome::Unknown } else { Outcome::Failed }))
        }
        (ClientDialect::Addfile, LabRequest::Addfile) => {
            let says = naive::addfile(stream, &text, data, end, naive::Confirmations::Ignored).await?;
            Ok((says.body, Outcome::Unknown))
        }
        (ClientDialect::Addfile, LabRequest::Upload) => {
            let says = naive::upload(stream, &text, data, end).await?;
            Ok((says.body, Outcome::Unknown))
        }
    }
}

/// Downloads files by lab B, one connection each.
pub(in crate::commands) async fn get(plan: &Plan, transfer: &Transfer, screen: &Screen) -> Result<Exit, Stop> {
    check(transfer)?;
    let (folder, rename) = match &plan.dest {
        Dest::Stdout => {
            let hint = "lab B does not say how long a file is; give a file name as DEST";
            return Err(Stop::usage("only verified bytes go to standard output").hint(hint));
        }
        Dest::Into(folder) => (folder, None),
        Dest::As(folder, name) => (folder, Some(name.as_encoded_bytes())),
    };
    let root = crate::commands::get::open(folder)?;
    let mut counts = Counts::default();
    for want in &plan.wants {
        let bad = |e| Stop::usage(format_args!("/{}: {e}", want.path));
        let name = LabName::new(want.path.to_bytes()).map_err(bad)?;
        let store_as = LabName::new(rename.unwrap_or(name.as_bytes())).map_err(bad)?;
        let stream = match client::dial_lab(&plan.endpoint, &transfer.connection, transfer.rate.as_ref()).await {
            Ok(stream) => stream,
            Err(text) => return conclude(screen, "received", Err(text), counts),
        };
        let policy = Policy {
            overwrite: transfer.overwrite.map_or(ft_core::frame::Overwrite::Never, client::overwrite),
            least: client::level(transfer.durability),
            names: plan.names,
            ..Policy::default()
        };
        let mut files = DiskFiles::new(root.clone(), policy, true, true);
        let result = get_one(stream, &name, &store_as, &mut files, transfer, screen, folder).await;
        match result {
            Ok(len) => {
                counts.bytes += len;
                counts.unknown += 1;
                let text = format!("{store_as}: {len} bytes came; lab B does not say whether that is all");
                screen.fact(None, &Fact::Note { text });
            }
            Err(error) => {
                screen.fact(None, &Fact::Note { text: format!("{name}: {error}") });
                counts.failed += 1;
            }
        }
    }
    client::release(root).await;
    conclude(screen, "received", Ok(()), counts)
}

async fn get_one(
    stream: Stream,
    name: &LabName,
    store_as: &LabName,
    files: &mut DiskFiles,
    transfer: &Transfer,
    screen: &Screen,
    folder: &Path,
) -> Result<u64, LabError> {
    let end = text_end(transfer.speak.text);
    if transfer.speak.lab == LabStyle::Naive {
        use ft_core::dialect::RawFiles as _;
        let says = naive::download(stream, &String::from_utf8_lossy(name.as_bytes()), end).await?;
        if says.status != addfile::OK {
            return Err(LabError::NotFound { name: name.clone() });
        }
        let mut raw = super::naive::FolderFiles { dir: folder.into(), may_put: true, may_get: true };
        let storage = |source| LabError::Storage { doing: "writing the file", source };
        raw.truncate(store_as.as_bytes()).await.map_err(storage)?;
        raw.append_in_place(store_as.as_bytes(), &says.data).await.map_err(storage)?;
        return Ok(says.data.len() as u64);
    }
    let options = addfile::Options { text_end: end, ..addfile::Options::default() };
    let mut observer = |event: &LabEvent| log(screen, Some(1), event);
    let done = careful_client::download(stream, name, store_as, files, &mut Silence, &mut observer, options).await?;
    Ok(done.len)
}
