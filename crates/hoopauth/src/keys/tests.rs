use std::sync::{Arc, Barrier};

use super::*;
use crate::account::Account;
use crate::clock::Timestamp;
use crate::store::{Key, NewRecord, TokenStore};

fn exposed(result: Result<Vec<Secret>>) -> Vec<String> {
    result.unwrap().iter().map(|secret| secret.expose().to_owned()).collect()
}

#[test]
fn all_who_start_at_once_get_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let barrier = Barrier::new(16);
    let found: Vec<_> = std::thread::scope(|scope| {
        let start = || {
            let store = UserStore::at(folder.path().join("new/folder"));
            barrier.wait();
            exposed(read_or_make(&store))
        };
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(start)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(found.iter().all(|keys| *keys == found[0] && keys.len() == 1 && keys[0].len() == 43));
    let names: Vec<_> = fs::read_dir(folder.path().join("new/folder"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("store.key"))
        .collect();
    assert_eq!(names, ["store.key"], "no draft is left behind");
}

#[cfg(unix)]
#[test]
fn the_key_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let store = UserStore::at(folder.path().join("hoopauth"));
    read_or_make(&store).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(store.key_path()), mode(&folder.path().join("hoopauth"))), (0o600, 0o700));
}

#[test]
fn a_lost_key_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let store = UserStore::at(folder.path().to_owned());
    let before = exposed(read_or_make(&store));
    let account = Account::location("l").unwrap();
    let record =
        NewRecord { grant: Some(b"sealed".to_vec()), expires_at: Timestamp(0), seen: vec![] };
    store.save(&Key { app: "app", account: &account }, 0, &record).unwrap();
    fs::rename(store.key_path(), folder.path().join("kept")).unwrap();
    let lazy = LazyKeys::new(KeySource::User(Arc::new(store)), Secret::new("client secret"));
    let error = lazy.get().err().unwrap();
    assert_eq!(error.code(), ErrorCode::StoreKey);
    assert!(error.message().contains("restore it"), "{error}");
    assert!(!folder.path().join("store.key").exists());
    // Once it is back, everything goes on.
    fs::rename(folder.path().join("kept"), folder.path().join("store.key")).unwrap();
    assert!(lazy.get().is_ok());
    assert_eq!(exposed(lazy.source.read()), before);
}

#[test]
fn key_files_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a key");
    let read = || KeySource::File(path.clone()).read();
    let missing = read().unwrap_err();
    assert!(missing.code() == ErrorCode::StoreKey && missing.message().contains("is not there"));
    for bad in ["", " \n", "\u{feff}", "too short", "0123456789abcdef short"] {
        fs::write(&path, bad).unwrap();
        let error = read().unwrap_err();
        assert!(
            error.code() == ErrorCode::StoreKey && !error.message().contains("short"),
            "{error}"
        );
    }
    fs::write(&path, "0123456789abcdef\nfedcba9876543210\n").unwrap();
    assert_eq!(exposed(read()), ["0123456789abcdef", "fedcba9876543210"]);
}

#[test]
fn a_byte_order_mark_is_not_part_of_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a key");
    let keys = |content: &str| {
        fs::write(&path, content).unwrap();
        exposed(KeySource::File(path.clone()).read())
    };
    assert_eq!(
        keys("\u{feff}0123456789abcdef\r\n"),
        ["0123456789abcdef", "\u{feff}0123456789abcdef"]
    );
    // What an earlier version sealed with the mark in the key opens, and is sealed anew without
    // it.
    let old = [Secret::new("\u{feff}0123456789abcdef")];
    let sealed =
        KeyRing::from_secrets(&[&old[0]], GRANT_LABEL).unwrap().seal(&[b"a"], b"x").unwrap();
    let now = KeySource::File(path.clone()).read().unwrap();
    let ring = KeyRing::from_secrets(&now.iter().collect::<Vec<_>>(), GRANT_LABEL).unwrap();
    assert_eq!(*ring.open(&[b"a"], &sealed).unwrap(), *b"x");
    let plain = KeyRing::from_secrets(&[&Secret::new("0123456789abcdef")], GRANT_LABEL).unwrap();
    assert!(plain.open(&[b"a"], &ring.seal(&[b"a"], b"x").unwrap()).is_ok());
}

#[test]
fn key_files_that_are_no_keys_say_why_and_show_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.key");
    let utf16 = |little: bool| -> Vec<u8> {
        let units = "planted-0123456789".encode_utf16();
        units
            .flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() })
            .collect()
    };
    let files: [(Vec<u8>, &str, ErrorCode); 11] = [
        ([vec![0xff, 0xfe], utf16(true)].concat(), "UTF-16", ErrorCode::StoreKey),
        ([vec![0xfe, 0xff], utf16(false)].concat(), "UTF-16", ErrorCode::StoreKey),
        (utf16(true), "UTF-16", ErrorCode::StoreKey),
        (utf16(false), "UTF-16", ErrorCode::StoreKey),
        (b"planted-0123456789\xff".to_vec(), "not text", ErrorCode::StoreKey),
        (b"planted\0-0123456789-0123456789".to_vec(), "not text", ErrorCode::StoreKey),
        (b"\"planted-0123456789\"\n".to_vec(), "quotes", ErrorCode::Config),
        (b"planted-0123456789 'planted-0123456789'".to_vec(), "quotes", ErrorCode::Config),
        (b"${PLANTED_0123456789}".to_vec(), "placeholder", ErrorCode::Config),
        (b"file:/planted/store.key".to_vec(), "file", ErrorCode::Config),
        (b"planted\x01-0123456789".to_vec(), "control", ErrorCode::Config),
    ];
    for (content, what, code) in files {
        fs::write(&path, &content).unwrap();
        let error = KeySource::File(path.clone()).read().unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.message().contains(what), "{what}: {error}");
        assert!(!error.message().to_lowercase().contains("planted"), "{error}");
    }
    let error = KeySource::File(folder.path().to_owned()).read().unwrap_err();
    assert!(
        error.code() == ErrorCode::StoreKey && error.message().contains("is a folder"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn a_key_file_that_others_can_read_is_restricted() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.key");
    let mode_after = |mode: u32| {
        fs::write(&path, "0123456789abcdef").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        KeySource::File(path.clone()).read().unwrap();
        fs::metadata(&path).unwrap().mode() & 0o777
    };
    for (mode, after) in
        [(0o600, 0o600), (0o400, 0o400), (0o644, 0o600), (0o666, 0o600), (0o444, 0o400)]
    {
        assert_eq!(mode_after(mode), after, "{mode:o}");
        fs::remove_file(&path).unwrap();
    }
    let of_root = fs::metadata(folder.path()).unwrap().uid() == 0;
    assert_eq!(mode_after(0o640), if of_root { 0o640 } else { 0o600 });
}

#[test]
fn the_option_is_checked_as_far_as_its_text_tells() {
    let check = |text: &str| StoreKey::parse("`store_key`", text).map(drop);
    for good in [
        "0123456789abcdef",
        "0123456789abcdef fedcba9876543210",
        "file:x",
        "file:/a b/store.key",
        "file:///a/store.key",
        "file: /a/store.key",
        "file:/a$b/store.key",
        "$ecretPassword-0123",
        "it's-0123456789abcdef",
        "/8Aa+0123456789abcdefABCDEF0123456789=",
    ] {
        assert!(check(good).is_ok(), "{good}");
    }
    let folder = tempfile::tempdir().unwrap();
    for bad in [
        "file:",
        "file:///",
        "file://planted/store.key",
        "File:/planted/store.key",
        "FILE:/planted/store.key",
        "file :/planted/store.key",
        "\"file:/planted/store.key\"",
        "'file:/planted/store.key'",
        "file:\"/planted/store.key\"",
        "file:$PLANTED/store.key",
        "file:~/planted/store.key",
        "/etc/planted/store.key",
        "./planted/store.key",
        "C:\\planted\\store.key",
        "planted-0123456789 file:/planted",
        "planted-0123456789 /run/planted",
        "\"planted-0123456789\"",
        "\u{201c}planted-0123456789\u{201d}",
        "planted-0123456789 'planted-0123456789'",
        "${PLANTED_0123456789}",
        "$PLANTED_0123456789",
        "%PLANTED_0123456789%",
        "{{ planted.store_key }}",
        "<planted key of the store>",
        "planted",
        &format!("file:{}", folder.path().display()),
    ] {
        let error = check(bad).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Config, "{bad}");
        assert!(error.message().contains("`store_key`"), "{error}");
        assert!(!error.message().to_lowercase().contains("planted"), "{error}");
    }
}
