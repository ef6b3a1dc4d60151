//! Names that lead elsewhere, cannot be stored, or are somebody else's.

use crate::craft::{ACK1, ACK2, FILE, FOLDER, LINK, Offer, goodbye, offer, whole};
use crate::served::{Client, Row, failed, lands, refused, serve};
use crate::table::rows;

/// Offers a file of this name, and says goodbye.
fn offers(client: &mut Client, components: &[&[u8]]) {
    client.push().say(&offer(1, components)).hear(ACK1, 1).say(&goodbye());
}

/// Offers a file of this name, sends it, and says goodbye.
fn sends(client: &mut Client, components: &[&[u8]]) {
    client.push().say(&offer(1, components)).hear(ACK1, 1).say(&whole(1)).say(&goodbye());
}

rows! {
    NAMES, serve, "Names";
    name_that_is_two_dots_is_refused: "offers `../new`" => refused("bad-name"),
        |c| offers(c, &[b"..", b"new"]);
    name_with_two_dots_in_the_middle_is_refused: "offers `folder/../../new`" => refused("bad-name"),
        |c| offers(c, &[b"folder", b"..", b"..", b"new"]);
    name_that_is_one_dot_is_refused: "offers `.`" => refused("bad-name"), |c| offers(c, &[b"."]);
    absolute_path_in_one_component_is_refused: "offers a component `/etc/cron.d/new`" => refused("bad-name"),
        |c| offers(c, &[b"/etc/cron.d/new"]);
    slash_within_a_component_is_refused: "offers a component `a/b`" => refused("bad-name"), |c| offers(c, &[b"a/b"]);
    nul_byte_in_a_name_is_refused: "offers `new` NUL `.txt`" => refused("bad-name"), |c| offers(c, &[b"new\0.txt"]);
    empty_component_is_refused: "offers a component of no bytes" => refused("bad-name"), |c| offers(c, &[b"", b"new"]);
    path_without_components_is_refused: "offers the root itself as a file" => refused("bad-name"), |c| offers(c, &[]);
    component_of_256_bytes_is_refused: "offers a component of 256 bytes" => refused("bad-name"),
        |c| offers(c, &[&[b'x'; 256]]);
    path_of_129_components_is_refused: "offers a path 129 folders deep" => refused("bad-name"),
        |c| offers(c, &[&b"d"[..]; 129]);
    path_of_4097_bytes_is_refused: "offers a path of 4,097 bytes in long components" => refused("bad-name"),
        |c| offers(c, &[&[b'y'; 241]; 17].map(|y| &y[..]));
    staging_folder_is_no_name_to_write: "offers `.ft-staging/new`" => refused("bad-name"),
        |c| offers(c, &[b".ft-staging", b"new"]);
    staging_folder_in_capitals_is_no_name_either: "offers `folder/.FT-STAGING/new`" => refused("bad-name"),
        |c| offers(c, &[b"folder", b".FT-STAGING", b"new"]);
    staging_folder_with_a_letter_that_nobody_sees_is_no_name_either: "offers `.ft-<U+200C>staging/new`" => refused("bad-name"),
        |c| offers(c, &[".ft-\u{200c}staging".as_bytes(), b"new"]);
    staging_folder_with_a_letter_that_looks_the_same_to_some_is_no_name_either: "offers `.ft-<U+017F>taging/new`, a long s" => refused("bad-name"),
        |c| offers(c, &[".ft-\u{17f}taging".as_bytes(), b"new"]);
    link_out_of_the_root_is_not_followed: "offers `out/new`, `out` being a link to a folder outside" => refused("unsafe-path"),
        |c| offers(c, &[b"out", b"new"]);
    link_within_the_root_is_not_followed_either: "offers `in/new`, `in` being a link to a folder inside" => refused("unsafe-path"),
        |c| offers(c, &[b"in", b"new"]);
    file_outside_is_not_replaced_through_a_link: "offers `out/secret`, which exists there" => refused("unsafe-path"),
        |c| offers(c, &[b"out", b"secret"]);
    folder_through_a_link_is_not_made: "offers a folder `out/new`" => refused("unsafe-path"),
        |c| { c.push().say(&Offer { path: &[b"out", b"new"], ..FOLDER }.frame(1)).hear(ACK1, 1).say(&goodbye()); };
    link_is_not_replaced_by_a_file: "offers `to-old`, which is a link to a file" => refused("wrong-kind"),
        |c| offers(c, &[b"to-old"]);
    file_below_a_file_is_refused: "offers `old/new`, `old` being a file" => refused("wrong-kind"),
        |c| offers(c, &[b"old", b"new"]);
    folder_is_not_replaced_by_a_file: "offers a file `folder`" => refused("wrong-kind"), |c| offers(c, &[b"folder"]);
    file_is_not_replaced_by_a_folder: "offers a folder `old`" => refused("wrong-kind"),
        |c| { c.push().say(&Offer { path: &[b"old"], ..FOLDER }.frame(1)).hear(ACK1, 1).say(&goodbye()); };
    named_pipe_is_neither_replaced_nor_written_to: "offers `pipe`, which is a named pipe" => refused("wrong-kind"),
        |c| offers(c, &[b"pipe"]);
    path_below_a_named_pipe_is_refused: "offers `pipe/new`" => refused("wrong-kind"), |c| offers(c, &[b"pipe", b"new"]);
    link_that_the_client_made_itself_is_not_followed: "stores a link to `../outside`, then offers a file through it"
        => refused("unsafe-path").and_lands(&["trap -> ../outside"]),
        |c| {
            let trap = Offer { path: &[b"trap"], target: b"../outside", ..LINK };
            let end = crate::craft::end(1, b"");
            c.push().say(&trap.frame(1)).hear(ACK1, 1).say(&end).hear(ACK2, 1);
            c.bare().say(&offer(2, &[b"trap", b"new"])).hear(ACK1, 2).say(&goodbye());
        };
    name_of_another_open_stream_is_refused: "offers one name twice before either is stored"
        => refused("name-busy").and_lands(&["new"]),
        |c| { c.push().say(&[offer(1, &[b"new"]), offer(2, &[b"new"])].concat()).hear(ACK1, 1).hear(ACK1, 2).say(&whole(1)).say(&goodbye()); };
    folder_that_takes_the_name_meanwhile_fails_the_file: "offers `new`, and a folder takes that name before it is sent"
        => failed("wrong-kind"),
        |c| {
            c.push().say(&offer(1, &[b"clash", b"new"])).hear(ACK1, 1);
            // Made and taken away again by the test: the row's own world stays comparable.
            let there = c.sandbox().path("inbox/clash/new");
            std::fs::create_dir_all(&there).expect("a folder");
            c.bare().say(&whole(1)).say(&goodbye()).shut().hear_all();
            std::fs::remove_dir_all(there.parent().expect("a parent")).expect("its own folder");
        };
    escape_codes_in_a_name_are_stored_and_shown_escaped: "sends a file named ESC `[2J`" => lands(&["\\u{1b}[2J"]),
        |c| sends(c, &[b"\x1b[2J"]);
    text_that_runs_backwards_is_shown_escaped: "sends a file whose name has a bidirectional control" => lands(&["a\\u{202e}txt.exe"]),
        |c| sends(c, &["a\u{202e}txt.exe".as_bytes()]);
    new_line_in_a_name_forges_no_line_of_the_log: "sends a file named `x`, a new line, `127.0.0.1 put 9 files`"
        => lands(&["x\\u{a}127.0.0.1 put 9 files"]),
        |c| sends(c, &[b"x\n127.0.0.1 put 9 files"]);
    name_that_is_not_utf_8_is_stored_byte_for_byte: "sends a file named by the bytes ff fe" => lands(&["\\xff\\xfe"]),
        |c| sends(c, &[b"\xff\xfe"]);
    set_id_bits_cannot_be_offered: "offers mode 4755" => crate::served::told("malformed", "permission bits up to 0777"),
        |c| { c.push().say(&Offer { mode: 0o4755, ..FILE }.frame(1)); };
}
