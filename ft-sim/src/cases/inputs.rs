//! What a scenario may change about a case.

use ft_core::dialect::TextEnd;
use ft_core::frame::{Compare, Overwrite};
use serde::Deserialize;

use super::Setup;
use super::ft::content;
use super::lab::Style;
use crate::limits::MAX_CONTENT;

/// Files that a play may have: their names are letters.
const MOST_FILES: usize = 26;

/// Inputs of a play; what is left out stays as the case has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Inputs {
    /// Bytes that each direction holds written and unread.
    pub(crate) window: Option<u64>,
    /// Room on the receiver's disk, bytes.
    pub(crate) room: Option<u64>,
    /// Sizes of the sender's files, bytes: `f` alone, or `a`, `b`, …
    pub(crate) sizes: Option<Vec<usize>>,
    /// Labs: the file's content.
    pub(crate) body: Option<String>,
    /// Labs: the file's name.
    pub(crate) name: Option<String>,
    /// Whether the receiver has a file of that name.
    pub(crate) old: Option<bool>,
    /// ft/1: `never`, `replace` or `keep-both`.
    pub(crate) overwrite: Option<String>,
    /// ft/1: `none`, `quick` or `content`.
    pub(crate) compare: Option<String>,
    /// ft/1: the receiver has the very file already: `time` (size and time are equal) or `content` (only the bytes are).
    pub(crate) same: Option<String>,
    /// ft/1: bytes of the first file that the receiver kept.
    pub(crate) kept: Option<usize>,
    /// Labs: `bare` or `newline`.
    pub(crate) end: Option<String>,
    /// Labs: `naive` or `careful`.
    pub(crate) client: Option<String>,
    /// Labs: `naive` or `careful`.
    pub(crate) server: Option<String>,
    /// Labs: what the client sends instead of its protocol.
    pub(crate) raw: Option<String>,
}

impl Setup {
    /// Changes the inputs; `retry` says whether a clean retry follows.
    pub(crate) fn apply(&mut self, inputs: &Inputs, retry: bool) -> Result<(), String> {
        let misplaced = |names: &[(&str, bool)], kind: &str| match names.iter().find(|(_, set)| *set) {
            Some((name, _)) => Err(format!("{name} is no input of {kind}")),
            None => Ok(()),
        };
        match self {
            Self::Ft(setup) => {
                misplaced(
                    &[
                        ("body", inputs.body.is_some()),
                        ("name", inputs.name.is_some()),
                        ("end", inputs.end.is_some()),
                        ("client", inputs.client.is_some()),
                        ("server", inputs.server.is_some()),
                        ("raw", inputs.raw.is_some()),
                    ],
                    "ft/1",
                )?;
                setup.retry = retry;
                setup.window = inputs.window.or(setup.window);
                setup.room = inputs.room.or(setup.room);
                setup.kept = inputs.kept.unwrap_or(setup.kept);
                let wanted =
                    inputs.sizes.iter().flatten().chain(&inputs.kept).try_fold(0usize, |sum, &n| sum.checked_add(n));
                if wanted.is_none_or(|bytes| bytes > MAX_CONTENT) {
                    return Err(format!("sizes and kept are more than {MAX_CONTENT} bytes together"));
                }
                if let Some(sizes) = &inputs.sizes {
                    match sizes.len() {
                        0 => return Err("sizes are of at least one file".to_owned()),
                        1..=MOST_FILES => {}
                        more => return Err(format!("sizes are of at most {MOST_FILES} files, not {more}")),
                    }
                    let name = |i: u8| if sizes.len() == 1 { "f".to_owned() } else { char::from(b'a' + i).to_string() };
                    setup.files = (0..26).zip(sizes).map(|(i, &size)| (name(i), content(i + 1, size))).collect();
                }
                if inputs.old == Some(false) {
                    setup.old.clear();
                }
                if let Some(same) = &inputs.same {
                    setup.old = setup.files.clone();
                    setup.same_time = choose("same", same, &[("time", true), ("content", false)])?;
                }
                if let Some(overwrite) = &inputs.overwrite {
                    let all = [
                        ("never", Overwrite::Never),
                        ("replace", Overwrite::Replace),
                        ("keep-both", Overwrite::KeepBoth),
                    ];
                    setup.overwrite = choose("overwrite", overwrite, &all)?;
                }
                if let Some(compare) = &inputs.compare {
                    let all = [("none", Compare::None), ("quick", Compare::Quick), ("content", Compare::Content)];
                    setup.compare = choose("compare", compare, &all)?;
                }
            }
            Self::Stranger(_) | Self::LabStranger(_) | Self::Guess | Self::Segments => {
                if *inputs != Inputs::default() || retry {
                    return Err(
                        "a stranger's script is all that it brings: there are no inputs and no retry".to_owned()
                    );
                }
            }
            Self::Lab(setup) => {
                misplaced(
                    &[
                        ("sizes", inputs.sizes.is_some()),
                        ("overwrite", inputs.overwrite.is_some()),
                        ("compare", inputs.compare.is_some()),
                        ("same", inputs.same.is_some()),
                        ("kept", inputs.kept.is_some()),
                    ],
                    "a lab",
                )?;
                setup.retry = retry;
                setup.window = inputs.window.or(setup.window);
                setup.room = inputs.room.or(setup.room);
                setup.raw = inputs.raw.as_ref().map(|raw| raw.clone().into_bytes()).or(setup.raw.take());
                if let Some(body) = &inputs.body {
                    setup.body = body.clone().into_bytes();
                }
                if let Some(name) = &inputs.name {
                    setup.name.clone_from(name);
                }
                if inputs.old == Some(false) {
                    setup.old = None;
                }
                if let Some(end) = &inputs.end {
                    setup.end = choose("end", end, &[("bare", TextEnd::Bare), ("newline", TextEnd::Newline)])?;
                }
                let styles = [("naive", Style::Naive), ("careful", Style::Careful)];
                if let Some(style) = &inputs.client {
                    setup.client = choose("client", style, &styles)?;
                }
                if let Some(style) = &inputs.server {
                    setup.server = choose("server", style, &styles)?;
                }
            }
        }
        Ok(())
    }
}

fn choose<T: Copy>(what: &str, value: &str, all: &[(&str, T)]) -> Result<T, String> {
    let known = || all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let found = all.iter().find(|(name, _)| *name == value);
    found.map(|(_, meaning)| *meaning).ok_or_else(|| format!("{what} is one of {}, not {value:?}", known()))
}
