//! The server as an outside tool sees it: OpenSSL's own client, which knows nothing of this program.

use std::process::{Command, Stdio};

use crate::harness::Sandbox;
use crate::keys::{key, server, two};

/// What `openssl` says, with nothing on its standard input.
fn openssl(sandbox: &Sandbox, line: &str) -> String {
    let output = Command::new("timeout")
        .args(["20", "openssl"])
        .args(line.split_whitespace())
        .current_dir(sandbox.path(""))
        .stdin(Stdio::null())
        .output()
        .expect("openssl runs");
    assert_ne!(output.status.code(), Some(124), "openssl {line} did not end");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn only_tls_1_3_is_spoken_and_no_client_can_talk_the_server_down() {
    let sandbox = two();
    let server = server(&sandbox);
    let host = server.address();
    let good = openssl(&sandbox, &format!("s_client -connect {host} -alpn ft/1 -tls1_3"));
    assert!(good.contains("New, TLSv1.3, Cipher is TLS_"), "{good}");
    assert!(good.contains("ALPN protocol: ft/1"), "{good}");
    assert!(good.contains("Server public key is 256 bit"), "{good}");
    for old in ["-tls1_2", "-tls1_1", "-tls1"] {
        let refused = openssl(&sandbox, &format!("s_client -connect {host} -alpn ft/1 {old} -cipher ALL:@SECLEVEL=0"));
        assert!(refused.contains("Cipher is (NONE)"), "{old}: {refused}");
        assert!(refused.contains("SSL alert number"), "{old}: {refused}");
    }
    // Both offered: the newer one is taken, whichever way round.
    let both =
        openssl(&sandbox, &format!("s_client -connect {host} -alpn ft/1 -min_protocol TLSv1.2 -max_protocol TLSv1.3"));
    assert!(both.contains("New, TLSv1.3"), "{both}");
}

#[test]
fn every_cipher_is_an_aead_of_tls_1_3_and_the_fastest_comes_first() {
    let sandbox = two();
    let server = server(&sandbox);
    let host = server.address();
    for suite in ["TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_256_GCM_SHA384"] {
        let said = openssl(&sandbox, &format!("s_client -connect {host} -alpn ft/1 -ciphersuites {suite}"));
        assert!(said.contains(&format!("Cipher is {suite}")), "{said}");
    }
    let weak =
        openssl(&sandbox, &format!("s_client -connect {host} -alpn ft/1 -ciphersuites TLS_AES_128_CCM_8_SHA256"));
    assert!(weak.contains("Cipher is (NONE)"), "{weak}");
}

#[test]
fn client_without_a_key_or_with_another_protocol_in_tls_is_sent_away() {
    let sandbox = two();
    let server = server(&sandbox);
    let host = server.address();
    let nobody = openssl(&sandbox, &format!("s_client -connect {host} -alpn ft/1 -ign_eof"));
    assert!(nobody.contains("alert certificate required"), "{nobody}");
    let web = openssl(&sandbox, &format!("s_client -connect {host} -alpn h2"));
    assert!(web.contains("alert no application protocol"), "{web}");
}

#[test]
fn no_session_can_be_resumed_so_every_connection_proves_its_key() {
    let sandbox = two();
    let server = server(&sandbox);
    let host = server.address();
    openssl(&sandbox, "req -x509 -newkey ed25519 -nodes -keyout k.pem -out c.pem -subj /CN=x -days 1");
    // Tickets would come right behind the handshake: it listens for a second.
    let line = format!("sleep 1 | openssl s_client -connect {host} -alpn ft/1 -cert c.pem -key k.pem");
    let output = Command::new("timeout").args(["20", "sh", "-c", &line]).current_dir(sandbox.path("")).output();
    let said = String::from_utf8_lossy(&output.expect("sh runs").stdout).into_owned();
    assert!(said.contains("New, TLSv1.3") && !said.contains("Post-Handshake New Session Ticket"), "{said}");
}

#[test]
fn fingerprint_is_the_hash_that_openssl_makes_of_the_same_key() {
    let sandbox = two();
    let printed = key(&sandbox, "mine");
    openssl(&sandbox, "pkey -in mine/ft-cli/identity -pubout -outform DER -out public.der");
    let said = openssl(&sandbox, "dgst -sha256 -r public.der");
    let hash = said.split_whitespace().next().unwrap();
    let fingerprint: ft_cli::trust::Fingerprint = printed.parse().unwrap();
    let ours: String = fingerprint.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(ours, hash, "{said}");
}

/// A certificate authority made by OpenSSL, a chain signed by it, and clients that trust it, or another one.
#[test]
fn certificate_chain_is_trusted_by_its_issuer_for_its_name_and_by_nobody_else() {
    let sandbox = two();
    for ca in ["ca", "other"] {
        openssl(
            &sandbox,
            &format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {ca}.key -out {ca}.pem -subj /CN={ca} -days 1"
            ),
        );
    }
    for (name, san) in [("good", "DNS:localhost,IP:127.0.0.1"), ("elsewhere", "DNS:example.org\u{1b}[31m")] {
        openssl(
            &sandbox,
            &format!(
                "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"
            ),
        );
        sandbox.file("san", format!("subjectAltName={san}\n"));
        openssl(
            &sandbox,
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem -days 1 -extfile san"
            ),
        );
        set_private(&sandbox, &format!("{name}.key"));
    }
    let mut good = sandbox.serve_at("theirs", "inbox --tls --anyone --cert good.pem --key good.key");
    sandbox.run(&format!("put a {} --ca ca.pem", good.address())).expect(0);
    let refused = sandbox.run(&format!("put a {} --ca other.pem", good.address())).expect(1);
    assert!(refused.stderr.contains("is not good by --ca other.pem: "), "{}", refused.stderr);
    let elsewhere = sandbox.serve_at("theirs", "inbox --tls --anyone --cert elsewhere.pem --key elsewhere.key");
    let refused = sandbox.run(&format!("put a {} --ca ca.pem", elsewhere.address())).expect(1);
    assert!(refused.stderr.contains("nothing was sent"), "{}", refused.stderr);
    // The library quotes the names of a certificate as they are.
    assert!(refused.stderr.contains("example.org") && !refused.stderr.contains('\u{1b}'), "{:?}", refused.stderr);
    // A certificate that was renewed is shown from the next signal on, and one that is none changes nothing.
    for end in ["pem", "key"] {
        std::fs::copy(sandbox.path(&format!("elsewhere.{end}")), sandbox.path(&format!("good.{end}"))).expect("copied");
    }
    good.hang_up();
    good.await_line("the certificate was read again");
    sandbox.run(&format!("put a {} --ca ca.pem", good.address())).expect(1);
    sandbox.file("good.pem", "nonsense");
    good.hang_up();
    good.await_line("the certificate stays as it was: cannot use the certificate");
    // A key of its own that no authority has signed.
    let own = server(&sandbox);
    sandbox.run(&format!("put a {} --ca ca.pem", own.address())).expect(1);
}

fn set_private(sandbox: &Sandbox, name: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(sandbox.path(name), std::fs::Permissions::from_mode(0o600)).expect("a mode");
}
