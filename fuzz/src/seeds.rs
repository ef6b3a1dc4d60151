//! Where fuzzing begins: the transcripts of docs/PROTOCOL.md as inputs, the labs' exchanges, the scenarios and their
//! schedules. Made anew each time, so that they follow the document.

use super::wire::{op, put_number};

const PROTOCOL: &str = include_str!("../../docs/PROTOCOL.md");

/// Directions of the document's transcripts.
const TRANSCRIPTS: [(&str, &str); 5] = [
    ("transcript", "c2s"),
    ("transcript", "s2c"),
    ("transcript-pull", "c2s"),
    ("transcript-pull", "s2c"),
    ("transcript-zdata", "c2s"),
];

/// The first inputs of a target.
#[must_use]
pub fn seeds(target: &str, scenarios: &[String]) -> Vec<Vec<u8>> {
    let wires = || TRANSCRIPTS.iter().map(|(mark, side)| records(&transcript(mark, side)));
    match target {
        "codec" => wires().map(|wire| [&[2, 6, 30][..], &wire].concat()).collect(),
        "session" => {
            // Each transcript, to each role, whole and in pieces of 7 and 61 bytes.
            let roles = (0..4u8).flat_map(|who| [vec![who, 0, 0], vec![who, 2, 6, 60, 1]]);
            roles.flat_map(|head| wires().map(move |wire| [&head[..], &wire].concat())).collect()
        }
        "receiver" => receiver(),
        "sender" => sender(),
        "dialects" => {
            (0..6u8).flat_map(|who| LABS.iter().map(move |text| [&[who, 2, 2, 6][..], text].concat())).collect()
        }
        "labs" => (0..6u8)
            .flat_map(|who| [who, who | 0x80])
            .flat_map(|who| LABS.iter().map(move |text| said(&[who, 1, 6, 0], &[text])))
            .chain([
                said(&[3, 0, 0], &[b"file recv\n", b"file data recv\n"]),
                said(&[5, 0, 0], &[b"OK", b"some data"]),
                said(&[0x81, 0, 0], &[b"addfile", b"f", b"data"]),
                said(&[0x80, 0, 0], &[b"f|4", b"data"]),
            ])
            .collect(),
        "names" => NAMES
            .iter()
            .map(|name| {
                [&[2, 1, b'a', u8::try_from(name.len()).unwrap_or(0)][..], name, &[1, 0, 0, 0], b"a/", name].concat()
            })
            .collect(),
        // So many connections, pieces of 7 and 61 bytes, and segments in turn; then with a gap, a wrong header, none at all.
        "segments" => (0..4u8)
            .flat_map(|lanes| {
                let turns = |more: &[u8]| {
                    let turns: Vec<u8> = (0..12u8).flat_map(|turn| [turn & 0x3f, turn * 9 + 1]).collect();
                    [&[lanes, 2, 6, 60][..], &turns, more].concat()
                };
                [turns(&[]), turns(&[0x40, 5, 3]), turns(&[0x80, 5, 11, 1]), turns(&[0, 0])]
            })
            .collect(),
        "schedule" => {
            let with = |choice: u8, line: &String| [&[choice][..], line.as_bytes()].concat();
            let played = (0..8).cycle().zip(schedules(scenarios));
            played.flat_map(|(choice, line)| [with(255, &line), with(choice, &line)]).collect()
        }
        "scenario" => scenarios.iter().map(|text| text.clone().into_bytes()).collect(),
        other => panic!("no target is named {other}"),
    }
}

/// What programs of the labs and others say first.
const LABS: [&[u8]; 16] = [
    b"data.txt|12\nhello, world",
    b"a|b|3\r\nxyz",
    b"..|3\nabc",
    b"f|99999999999999999999\n",
    b"addfile\nf\nfirst line",
    b"UPLOAD\r\nf\r\ndata",
    b"DOWNLOAD\nf\n",
    b"DOWNLOADf",
    b"ACK",
    b"file recv\nfile data recv\n",
    b"OK\nsome data",
    b"NOT FOUND",
    b"GET / HTTP/1.1\r\nHost: x\r\n",
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"\x16\x03\x01\x02\x00",
    b"\x89FT/\r\n\x1a\n\x00\x01\x00\x01",
];

const NAMES: [&[u8]; 8] = [
    b"b.txt",
    b"..",
    b"a/b",
    b"x\0",
    b".profile",
    "na\u{ef}ve.tar.gz".as_bytes(),
    b"\xff\xfe",
    "\u{202e}txt.exe".as_bytes(),
];

fn said(head: &[u8], flights: &[&[u8]]) -> Vec<u8> {
    let mut out = head.to_vec();
    for flight in flights {
        put_number(flight.len() as u64, &mut out);
        out.extend(*flight);
    }
    out
}

/// One direction of a transcript.
fn transcript(mark: &str, side: &str) -> Vec<u8> {
    let (_, block) = PROTOCOL.split_once(&format!("```{mark}\n")).expect("the transcript");
    let (block, _) = block.split_once("```").expect("its end");
    let lines = block.lines().filter_map(|line| line.strip_prefix(side));
    let words = lines.flat_map(|line| line.split(';').next().unwrap_or_default().split_whitespace());
    words.map(|word| u8::from_str_radix(word, 16).expect("two hexadecimal digits")).collect()
}

/// A stream of ft/1 as records: the preamble, then each frame with its fields, and a pause behind each for the answer.
fn records(stream: &[u8]) -> Vec<u8> {
    let mut out = vec![op::PREAMBLE];
    let mut rest = &stream[16..];
    while let Some((header, behind)) = rest.split_first_chunk::<28>() {
        let field = |from: usize, to: usize| header[from..to].iter().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
        let len = usize::try_from(field(0, 4)).expect("a short frame");
        out.extend([op::FRAME, header[4]]);
        put_number(field(16, 20), &mut out);
        put_number(field(8, 16), &mut out);
        put_number(len as u64, &mut out);
        out.extend(&behind[..len]);
        out.push(op::FLIGHT);
        rest = &behind[len..];
    }
    out
}

/// Short lives of a stream: offered, prepared, written, verified, landed; resumed; the same; refused; broken.
fn receiver() -> Vec<Vec<u8>> {
    let prepare = |how: u8| [0, 0, how];
    let goodbye: &[u8] = &[8, 0];
    let whole = |bits: u8, how: u8, extra: &[u8], rest: &[&[u8]]| {
        [&[4, 3, bits, 100][..], &prepare(how), extra, &rest.concat(), goodbye].concat()
    };
    let data: &[u8] = &[4, 1, 99, 255, 255];
    let end: &[u8] = &[6, 1];
    let done: &[u8] = &[0, 0, 0];
    vec![
        whole(0x40, 0, &[], &[data, done, end, done, done]),
        whole(0x40, 0, &[], &[&[7, 1, 99], done, end, done, done]),
        whole(0x58, 2, &[], &[done]),
        whole(0x60, 3, &[], &[&[2, 0x24, 1, 100, 32], &[3; 32], done]),
        whole(0, 4, &[], &[]),
        whole(0, 0, &[], &[data, &[0, 0, 7], done]),
        whole(0, 0, &[], &[data, done, end, &[0, 0, 6], done]),
        whole(0, 0, &[], &[data, &[9]]),
        [&[0, 3, 0, 255, 0, 0, 0x50, 0, 0, 0, 0, 0][..], &prepare(1), &[3], data, end, done, done, done].concat(),
        [&[2, 8, 3, 3, 0x80, 1][..], &prepare(0), &[4, 1, 0, 255, 0], end, done, done, done, &[8, 1], goodbye].concat(),
    ]
}

/// The same from the other side.
fn sender() -> Vec<Vec<u8>> {
    let hello: &[u8] = &[9, 0];
    let walk = |entries: &[u8]| [&[0, 0, u8::try_from(entries.len() * 2).unwrap_or(0) | 1][..], entries].concat();
    let goodbye: &[u8] = &[9, 1];
    let read: &[u8] = &[0, 0, 0, 99];
    let ack2: &[u8] = &[6, 1, 0];
    vec![
        [&[0][..], hello, &walk(&[0, 100]), &[4, 1, 0], read, &[8], ack2, goodbye].concat(),
        [&[4][..], hello, &walk(&[0, 100]), &[4, 1, 3], ack2, goodbye].concat(),
        [&[8][..], hello, &walk(&[0, 100]), &[4, 1, 4, 1], &[0, 0, 0], ack2, goodbye].concat(),
        [&[0][..], hello, &walk(&[0, 255, 0, 0, 0x50, 0, 0, 0, 0, 0]), &[4, 1, 2, 3], &[0, 0, 1], read, &[8]].concat(),
        [&[0][..], hello, &walk(&[0, 100, 3, 0, 4, 9]), &[4, 1, 5], &[4, 2, 0], &[4, 3, 0], read, &[0, 0, 8, 3]]
            .concat(),
        [&[2, 9, 200, 7, 1][..], &walk(&[0, 100]), &[4, 1, 0], &[0, 0, 7], goodbye].concat(),
        [&[3, 7, 1][..], &walk(&[0, 100, 0, 5]), goodbye].concat(),
        // An ACK2 for other content than was sent.
        [&[0][..], hello, &walk(&[0, 100]), &[4, 1, 0], read, &[8, 3, 0x25, 1, 100, 38, 2], &[7; 32], b"\0\x01\0\x01x"]
            .concat(),
    ]
}

/// The schedules of the scenarios.
fn schedules(scenarios: &[String]) -> Vec<String> {
    let lines = scenarios.iter().flat_map(|text| text.lines());
    let quoted = lines.filter_map(|line| line.strip_prefix("schedule = \"")?.strip_suffix('"').map(str::to_owned));
    quoted.chain(["2:s2c@5 hold 9; order#3=1".to_owned(), "c2s@0 window 1; s2c@7 delay 40ms".to_owned()]).collect()
}
