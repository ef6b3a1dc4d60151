//! The cases, by name.

use super::ft::{ContentHash, FtSetup, Way, content};
use super::lab::{Confirmations, LabSetup, Style, Verb};
use super::lab_stranger::Ours as Lab;
use super::landing::Haste;
use super::stranger::Ours;
use super::{Case, Setup};
use std::time::Duration;

use ft_core::dialect::TextEnd;
use ft_core::frame::{Compare, Overwrite};

use crate::faults::{Family, Faults};
use crate::ground::WorldKind;

/// Nothing about these cases is only for memory; a schedule may be ([`crate::WorldKind::cannot_hold`]).
const WORLDS: &[WorldKind] = &WorldKind::ALL;
/// Where a minute of waiting costs nothing.
const IN_MEMORY: &[WorldKind] = &[WorldKind::Own, WorldKind::Tokio];
const FT: [&str; 2] = ["ft/1 client", "ft/1 server"];

/// Sizes of ft/1 around which boundaries tell most: preamble and header.
fn all_faults() -> Faults {
    Faults::all().headers(&[16, 28])
}

/// For whom it matters what happens within a second: no delay is so long that it changes that.
fn short_delays() -> Faults {
    Faults::segmentation().delays(&[Duration::from_millis(20)])
}

/// What a careful lab program must bear: early ends, and delays that are shorter than its quiet moments.
fn lab_faults() -> Faults {
    Faults::cuts().delays(&[Duration::from_millis(20)]).headers(&[3, 8, 11])
}

/// Lab B's data has no length: a connection that ends early is a whole file to it (`eof-is-success`), so that only
/// segmentation is left to bear.
fn lab_b_faults() -> Faults {
    Faults::segmentation().delays(&[Duration::from_millis(20)]).headers(&[2, 7, 8, 10])
}

/// The same where strangers pause on purpose, for as long as means something.
fn lab_a_stranger_faults() -> Faults {
    Faults::cuts().delays(&[Duration::from_millis(20)])
}

/// Data that a half-close ends early is whole to lab B; a reset is not.
fn lab_b_stranger_faults() -> Faults {
    Faults::segmentation().delays(&[Duration::from_millis(20)]).and(&[Family::Rst])
}

/// For programs without deadlines: silence would only show again that they have none.
fn naive_faults() -> Faults {
    Faults::cuts().headers(&[3, 8, 11])
}

/// For texts that end with a line feed, no delay is too long.
fn patient_faults() -> Faults {
    Faults::cuts().and(&[Family::Kill, Family::Crash, Family::Stall]).headers(&[3, 8, 11])
}

fn lab(verb: Verb, style: Style) -> Setup {
    Setup::Lab(LabSetup::new(verb, style))
}

fn with_line_feeds(verb: Verb) -> Setup {
    Setup::Lab(LabSetup { end: TextEnd::Newline, pause: false, patient: true, ..LabSetup::new(verb, Style::Careful) })
}

fn on_disk(way: Way, haste: Haste) -> Setup {
    Setup::Ft(FtSetup { disk: Some(haste), ..FtSetup::one(way) })
}

/// Ends of every kind, and a power cut of whoever has the disk.
fn disk_faults() -> Faults {
    Faults::only(&[Family::Split, Family::HalfClose, Family::Rst, Family::Kill, Family::Crash]).headers(&[28])
}

fn three() -> FtSetup {
    let mut setup = FtSetup::one(Way::Push);
    setup.files =
        vec![("a".to_owned(), content(1, 100)), ("b".to_owned(), Vec::new()), ("f".to_owned(), content(3, 200))];
    setup
}

fn kept() -> FtSetup {
    const UNIT: usize = 1024 * 1024;
    let mut setup = FtSetup::one(Way::Push);
    setup.files = vec![("f".to_owned(), content(1, UNIT + 100))];
    setup.kept = UNIT + 50;
    setup
}

fn torn() -> FtSetup {
    FtSetup { torn: true, ..kept() }
}

fn believed() -> FtSetup {
    FtSetup { believed: true, ..kept() }
}

fn believed_torn() -> FtSetup {
    FtSetup { believed: true, ..torn() }
}

/// A retry after *unknown* must find the file there, and not take it for somebody else's.
fn never() -> FtSetup {
    FtSetup { overwrite: Overwrite::Never, old: Vec::new(), ..FtSetup::one(Way::Push) }
}

/// One file to send, one that is there already and one of which another is there, with hashes to compare.
fn slow(way: Way) -> FtSetup {
    let mut setup = three();
    setup.way = way;
    setup.old = vec![("a".to_owned(), content(1, 100)), ("f".to_owned(), content(9, 200))];
    FtSetup { slow: true, compare: Compare::Content, ..setup }
}

fn narrow() -> FtSetup {
    FtSetup { window: Some(16), ..three() }
}

fn small() -> FtSetup {
    FtSetup { files: vec![("f".to_owned(), content(1, 100))], retry: false, ..FtSetup::one(Way::Push) }
}

/// One file that shrinks, one that is too short to be tried.
fn compressed(way: Way) -> FtSetup {
    let mut setup = FtSetup::one(way);
    let words = b"again and again and ".iter().copied().cycle().take(400).collect();
    setup.files = vec![("a".to_owned(), content(1, 60)), ("f".to_owned(), words)];
    FtSetup { compress: true, ..setup }
}

fn long() -> FtSetup {
    let mut setup = FtSetup::one(Way::Push);
    setup.files = vec![("f".to_owned(), content(1, 64 * 1024))];
    setup
}

/// For speed: 64 KiB, one attempt, and no BLAKE3, which has nothing to find here.
fn long_once() -> FtSetup {
    FtSetup { retry: false, hash: ContentHash::Stub, ..long() }
}

pub(super) const CASES: &[Case] = &[
    Case {
        name: "ft-push",
        question: "Does a push of one file keep every promise, whatever the network does?",
        parties: FT,
        worlds: WORLDS,
        stands: true,
        setup: || Setup::Ft(FtSetup::one(Way::Push)),
        faults: all_faults,
    },
    Case {
        name: "ft-pull",
        question: "Does a pull of one file keep every promise, whatever the network does?",
        parties: FT,
        worlds: WORLDS,
        stands: true,
        setup: || Setup::Ft(FtSetup::one(Way::Pull)),
        faults: all_faults,
    },
    Case {
        name: "ft-push-three",
        question: "Do three files, one of them empty, share one session without harm to each other?",
        parties: FT,
        worlds: WORLDS,
        stands: true,
        setup: || Setup::Ft(three()),
        faults: all_faults,
    },
    Case {
        name: "ft-push-compressed",
        question: "Does a push keep every promise when its content goes compressed?",
        parties: FT,
        worlds: WORLDS,
        stands: true,
        setup: || Setup::Ft(compressed(Way::Push)),
        faults: all_faults,
    },
    Case {
        name: "ft-pull-compressed",
        question: "Does a pull keep every promise when its content goes compressed?",
        parties: FT,
        worlds: WORLDS,
        stands: true,
        setup: || Setup::Ft(compressed(Way::Pull)),
        faults: all_faults,
    },
    Case {
        name: "ft-push-resume",
        question: "Does a push go on from a kept beginning of 1 MiB, and keep every promise on the way?",
        parties: FT,
        worlds: WORLDS,
        stands: true,
        setup: || Setup::Ft(kept()),
        faults: all_faults,
    },
    Case {
        name: "ft-push-torn",
        question: "What becomes of a kept beginning of 1 MiB in which a byte has changed?",
        parties: FT,
        worlds: WORLDS,
        stands: true,
        setup: || Setup::Ft(torn()),
        faults: all_faults,
    },
    Case {
        name: "ft-push-believed",
        question: "Does a push go on at once from a kept beginning that is stated without hashes?",
        parties: FT,
        worlds: WORLDS,
        stands: true,
        setup: || Setup::Ft(believed()),
        faults: all_faults,
    },
    Case {
        name: "ft-push-believed-torn",
        question: "Is nothing wrong stored where a changed beginning is believed, and is it compared by the retry?",
        parties: FT,
        worlds: WORLDS,
        stands: true,
        setup: || Setup::Ft(believed_torn()),
        faults: all_faults,
    },
    Case {
        name: "ft-push-never",
        question: "Does a retry complete that must not replace what the first attempt may have stored?",
        parties: FT,
        worlds: WORLDS,
        stands: true,
        setup: || Setup::Ft(never()),
        faults: all_faults,
    },
    Case {
        name: "ft-push-narrow",
        question: "Do both sides read while they write, where 16 bytes fill a direction?",
        parties: FT,
        worlds: WORLDS,
        stands: true,
        setup: || Setup::Ft(narrow()),
        faults: all_faults,
    },
    Case {
        name: "ft-push-slow",
        question: "Does a push keep every promise while file operations take longer than a peer is patient?",
        parties: FT,
        worlds: IN_MEMORY,
        stands: true,
        setup: || Setup::Ft(slow(Way::Push)),
        faults: all_faults,
    },
    Case {
        name: "ft-pull-slow",
        question: "Does a pull keep every promise while file operations take longer than a peer is patient?",
        parties: FT,
        worlds: IN_MEMORY,
        stands: true,
        setup: || Setup::Ft(slow(Way::Pull)),
        faults: all_faults,
    },
    Case {
        name: "ft-push-once",
        question: "Does a push of 100 bytes keep every promise, without a retry?",
        parties: FT,
        worlds: WORLDS,
        stands: true,
        setup: || Setup::Ft(small()),
        faults: all_faults,
    },
    Case {
        name: "ft-push-64k",
        question: "Does a push of 64 KiB survive a fault at every single byte?",
        parties: FT,
        worlds: WORLDS,
        stands: true,
        setup: || Setup::Ft(long()),
        faults: all_faults,
    },
    Case {
        name: "ft-push-64k-once",
        question: "The same without a retry, known by a checksum instead of BLAKE3: what is it that 64 KiB cost?",
        parties: FT,
        worlds: WORLDS,
        stands: true,
        setup: || Setup::Ft(long_once()),
        faults: all_faults,
    },
    Case {
        name: "ft-push-disk",
        question: "Is what ACK2 promised there after a power cut at any moment, on a disk that fails and forgets?",
        parties: FT,
        worlds: WORLDS,
        stands: true,
        setup: || on_disk(Way::Push, Haste::None),
        faults: disk_faults,
    },
    Case {
        name: "ft-pull-disk",
        question: "Is a pulled file there after a power cut of the client, on a disk that fails and forgets?",
        parties: FT,
        worlds: WORLDS,
        stands: true,
        setup: || on_disk(Way::Pull, Haste::None),
        faults: disk_faults,
    },
    Case {
        name: "ft-push-disk-three",
        question: "Does a disk that fails one file of a session harm the others?",
        parties: FT,
        worlds: WORLDS,
        stands: true,
        setup: || Setup::Ft(FtSetup { disk: Some(Haste::None), ..three() }),
        faults: || disk_faults().and(&[Family::Delay]),
    },
    Case {
        name: "ft-push-joined",
        question: "Does a push keep every promise over three connections, whichever of them the network harms?",
        parties: FT,
        worlds: WORLDS,
        stands: true,
        setup: || Setup::Ft(FtSetup { joined: true, ..FtSetup::one(Way::Push) }),
        faults: all_faults,
    },
    Case {
        name: "ft-push-joined-narrow",
        question: "Do three connections carry a push where 48 bytes fill each of them?",
        parties: FT,
        worlds: IN_MEMORY,
        stands: true,
        setup: || Setup::Ft(FtSetup { joined: true, window: Some(48), ..FtSetup::one(Way::Push) }),
        faults: all_faults,
    },
    Case {
        name: "ft-pull-joined",
        question: "Does a pull keep every promise over three connections, whichever of them the network harms?",
        parties: FT,
        worlds: WORLDS,
        stands: true,
        setup: || Setup::Ft(FtSetup { joined: true, ..FtSetup::one(Way::Pull) }),
        faults: all_faults,
    },
    Case {
        name: "ft-push-rivals",
        question: "What becomes of one name that two clients write at the same time?",
        parties: ["two ft/1 clients", "ft/1 server"],
        worlds: WORLDS,
        stands: true,
        setup: || Setup::Ft(FtSetup { disk: Some(Haste::None), rival: true, ..FtSetup::one(Way::Push) }),
        faults: disk_faults,
    },
    Case {
        name: "ft-stranger-clients",
        question: "Does a server bear every client that is not ours, and name the rule that it broke?",
        parties: ["a stranger", "ft/1 server"],
        worlds: IN_MEMORY,
        stands: true,
        setup: || Setup::Stranger(Ours::Server),
        faults: Faults::segmentation,
    },
    Case {
        name: "ft-stranger-floods",
        question: "Are the windows of a server exact, whoever offers up to them and beyond?",
        parties: ["a stranger", "ft/1 server"],
        worlds: IN_MEMORY,
        stands: true,
        setup: || Setup::Stranger(Ours::Flooded),
        faults: Faults::segmentation,
    },
    Case {
        name: "ft-stranger-push",
        question: "Does a pushing client believe no server that breaks a rule?",
        parties: ["ft/1 client", "a stranger"],
        worlds: IN_MEMORY,
        stands: true,
        setup: || Setup::Stranger(Ours::Push),
        faults: Faults::segmentation,
    },
    Case {
        name: "ft-stranger-slow-push",
        question: "Does a client that is still reading let go of what its server gives up, and of nothing else?",
        parties: ["ft/1 client", "a stranger"],
        worlds: IN_MEMORY,
        stands: true,
        setup: || Setup::Stranger(Ours::PushSlow),
        faults: short_delays,
    },
    Case {
        name: "ft-stranger-unreadable-push",
        question: "Does a client that cannot read a file say so, and send the others?",
        parties: ["ft/1 client", "a stranger"],
        worlds: IN_MEMORY,
        stands: true,
        setup: || Setup::Stranger(Ours::PushUnreadable),
        faults: short_delays,
    },
    Case {
        name: "ft-stranger-long-push",
        question: "Does a client let go of what it has read ahead when its server gives it up?",
        parties: ["ft/1 client", "a stranger"],
        worlds: IN_MEMORY,
        stands: true,
        setup: || Setup::Stranger(Ours::PushLong),
        faults: short_delays,
    },
    Case {
        name: "ft-stranger-sparse-push",
        question: "Is a hole sent as one, and its end as what it is?",
        parties: ["ft/1 client", "a stranger"],
        worlds: IN_MEMORY,
        stands: true,
        setup: || Setup::Stranger(Ours::PushSparse),
        faults: short_delays,
    },
    Case {
        name: "ft-stranger-bad-disk",
        question: "Does a server whose disk fails for some files name them, and store the others?",
        parties: ["a stranger", "ft/1 server"],
        worlds: IN_MEMORY,
        stands: true,
        setup: || Setup::Stranger(Ours::BadDisk),
        faults: short_delays,
    },
    Case {
        name: "ft-stranger-pull",
        question: "Does a pulling client take nothing from a server that it did not ask for?",
        parties: ["ft/1 client", "a stranger"],
        worlds: IN_MEMORY,
        stands: true,
        setup: || Setup::Stranger(Ours::Pull),
        faults: Faults::segmentation,
    },
    Case {
        name: "ft-stranger-list",
        question: "Does a listing client show nothing that it did not ask for?",
        parties: ["ft/1 client", "a stranger"],
        worlds: IN_MEMORY,
        stands: true,
        setup: || Setup::Stranger(Ours::List),
        faults: Faults::segmentation,
    },
    Case {
        name: "ft-push-no-file-sync",
        question: "What does a power cut leave if the file is not synced before its rename?",
        parties: ["ft/1 client", "hasty server"],
        worlds: WORLDS,
        stands: false,
        setup: || on_disk(Way::Push, Haste::FileSync),
        faults: disk_faults,
    },
    Case {
        name: "ft-push-no-folder-sync",
        question: "What does a power cut leave if the folder is not synced before ACK2?",
        parties: ["ft/1 client", "hasty server"],
        worlds: WORLDS,
        stands: false,
        setup: || on_disk(Way::Push, Haste::FolderSync),
        faults: disk_faults,
    },
    Case {
        name: "ft-push-in-place",
        question: "What does a power cut leave if the final name is written in place?",
        parties: ["ft/1 client", "hasty server"],
        worlds: WORLDS,
        stands: false,
        setup: || on_disk(Way::Push, Haste::Rename),
        faults: disk_faults,
    },
    Case {
        name: "ft-push-sync-again",
        question: "What does a power cut leave if a sync that failed is made again, and believed?",
        parties: ["ft/1 client", "hasty server"],
        worlds: WORLDS,
        stands: false,
        setup: || on_disk(Way::Push, Haste::SyncAgain),
        faults: disk_faults,
    },
    Case {
        name: "guess",
        question: "Is everybody taken for what they are, however the first bytes come?",
        parties: ["somebody", "who guesses"],
        worlds: IN_MEMORY,
        stands: true,
        setup: || Setup::Guess,
        faults: short_delays,
    },
    Case {
        name: "segments",
        question: "Is one stream put together from two connections, and is what is wrong with it said at once?",
        parties: ["who writes segments", "who reads them"],
        worlds: IN_MEMORY,
        stands: true,
        setup: || Setup::Segments,
        faults: short_delays,
    },
    Case {
        name: "lab-a-naive",
        question: "What does lab A's listing suffer on a real network?",
        parties: ["listing's client", "listing's server"],
        worlds: WORLDS,
        stands: false,
        setup: || lab(Verb::Pipe, Style::Naive),
        faults: naive_faults,
    },
    Case {
        name: "lab-a-careful",
        question: "What can be saved on lab A's wire, where nothing ends the metadata?",
        parties: ["careful client", "careful server"],
        worlds: WORLDS,
        stands: true,
        setup: || lab(Verb::Pipe, Style::Careful),
        faults: lab_faults,
    },
    Case {
        name: "lab-a-careful-once",
        question: "Does lab A's exchange keep every promise that its wire allows, without a retry?",
        parties: ["careful client", "careful server"],
        worlds: WORLDS,
        stands: true,
        setup: || Setup::Lab(LabSetup { retry: false, ..LabSetup::new(Verb::Pipe, Style::Careful) }),
        faults: lab_faults,
    },
    Case {
        name: "lab-a-careful-lf",
        question: "Does a line feed behind the metadata make lab A safe from every pause?",
        parties: ["careful client", "careful server"],
        worlds: WORLDS,
        stands: true,
        setup: || with_line_feeds(Verb::Pipe),
        faults: patient_faults,
    },
    Case {
        name: "lab-b-naive",
        question: "What does lab B's listing suffer on a real network?",
        parties: ["listing's client", "listing's server"],
        worlds: WORLDS,
        stands: false,
        setup: || lab(Verb::Addfile, Style::Naive),
        faults: naive_faults,
    },
    Case {
        name: "lab-b-naive-ignores",
        question: "What does lab B's client miss that never reads a confirmation?",
        parties: ["listing's client", "listing's server"],
        worlds: WORLDS,
        stands: false,
        setup: || {
            Setup::Lab(LabSetup { confirmations: Confirmations::Ignored, ..LabSetup::new(Verb::Addfile, Style::Naive) })
        },
        faults: naive_faults,
    },
    Case {
        name: "lab-b-naive-late",
        question: "What does lab B's client read that asks for both confirmations at the end?",
        parties: ["listing's client", "listing's server"],
        worlds: WORLDS,
        stands: false,
        setup: || {
            Setup::Lab(LabSetup {
                confirmations: Confirmations::ReadAtTheEnd,
                ..LabSetup::new(Verb::Addfile, Style::Naive)
            })
        },
        faults: naive_faults,
    },
    Case {
        name: "lab-b-careful",
        question: "What can be saved on lab B's wire, with bare texts kept apart by pauses?",
        parties: ["careful client", "careful server"],
        worlds: WORLDS,
        stands: true,
        setup: || lab(Verb::Addfile, Style::Careful),
        faults: lab_b_faults,
    },
    Case {
        name: "lab-b-careful-lf",
        question: "What can be saved on lab B's wire, when line feeds end its texts?",
        parties: ["careful client", "careful server"],
        worlds: WORLDS,
        stands: true,
        setup: || with_line_feeds(Verb::Addfile),
        faults: lab_b_faults,
    },
    Case {
        name: "lab-b-naive-upload",
        question: "What does UPLOAD suffer in the listing's manner?",
        parties: ["listing's client", "listing's server"],
        worlds: WORLDS,
        stands: false,
        setup: || lab(Verb::Upload, Style::Naive),
        faults: naive_faults,
    },
    Case {
        name: "lab-b-careful-upload",
        question: "What can be saved of UPLOAD, whose data has no length?",
        parties: ["careful client", "careful server"],
        worlds: WORLDS,
        stands: true,
        setup: || lab(Verb::Upload, Style::Careful),
        faults: lab_b_faults,
    },
    Case {
        name: "lab-b-naive-download",
        question: "What does DOWNLOAD suffer in the listing's manner?",
        parties: ["listing's client", "listing's server"],
        worlds: WORLDS,
        stands: false,
        setup: || lab(Verb::Download, Style::Naive),
        faults: naive_faults,
    },
    Case {
        name: "lab-b-careful-download",
        question: "What can be saved of DOWNLOAD, whose data has no length?",
        parties: ["careful client", "careful server"],
        worlds: WORLDS,
        stands: true,
        setup: || lab(Verb::Download, Style::Careful),
        faults: lab_b_faults,
    },
    Case {
        name: "lab-a-stranger-senders",
        question: "Does lab A's careful server take nothing that its lab does not have, and lose nothing that it took?",
        parties: ["a stranger", "careful server"],
        worlds: IN_MEMORY,
        stands: true,
        setup: || Setup::LabStranger(Lab::PipeReceiver),
        faults: lab_a_stranger_faults,
    },
    Case {
        name: "lab-a-stranger-long",
        question: "How long may lab A's metadata be?",
        parties: ["a stranger", "careful server"],
        worlds: IN_MEMORY,
        stands: true,
        setup: || Setup::LabStranger(Lab::LongMetadata),
        faults: lab_a_stranger_faults,
    },
    Case {
        name: "lab-a-stranger-receivers",
        question: "Does lab A's careful client send to nobody who has not said ACK, and say why?",
        parties: ["careful client", "a stranger"],
        worlds: IN_MEMORY,
        stands: true,
        setup: || Setup::LabStranger(Lab::PipeSender),
        faults: lab_a_stranger_faults,
    },
    Case {
        name: "lab-a-stranger-floods",
        question: "Does a careful client come to an end with a server that does not?",
        parties: ["careful client", "a stranger"],
        worlds: IN_MEMORY,
        stands: true,
        setup: || Setup::LabStranger(Lab::Flooded),
        faults: short_delays,
    },
    Case {
        name: "lab-b-stranger-requests",
        question: "Does lab B's careful server know every request, and answer each in its own way?",
        parties: ["a stranger", "careful server"],
        worlds: IN_MEMORY,
        stands: true,
        setup: || Setup::LabStranger(Lab::Server),
        faults: lab_b_stranger_faults,
    },
    Case {
        name: "lab-b-stranger-stores",
        question: "Does lab B's careful server keep what was ended, and nothing else?",
        parties: ["a stranger", "careful server"],
        worlds: IN_MEMORY,
        stands: true,
        setup: || Setup::LabStranger(Lab::Store),
        faults: lab_b_stranger_faults,
    },
    Case {
        name: "lab-b-stranger-uploads",
        question: "Do lab B's careful clients believe no confirmation that their lab does not have?",
        parties: ["careful client", "a stranger"],
        worlds: IN_MEMORY,
        stands: true,
        setup: || Setup::LabStranger(Lab::Upload),
        faults: lab_b_stranger_faults,
    },
    Case {
        name: "lab-b-stranger-downloads",
        question: "Does lab B's careful client keep nothing but what an OK was said for?",
        parties: ["careful client", "a stranger"],
        worlds: IN_MEMORY,
        stands: true,
        setup: || Setup::LabStranger(Lab::Download),
        faults: lab_b_stranger_faults,
    },
];
