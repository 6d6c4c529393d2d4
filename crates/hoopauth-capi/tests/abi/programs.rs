//! The programs of `tests/c`, each plainly, under valgrind and with the sanitizers.

use std::fmt::Write as _;

use hoopauth_core::ErrorCode;

use crate::harness::{Bench, Mode, text};

macro_rules! programs {
    ($($name:ident, $link:literal;)*) => {
        $(mod $name {
            use crate::harness::{Bench, Mode};

            const FILE: &str = concat!(stringify!($name), ".c");

            #[test]
            fn plain() {
                Bench::new().passes(FILE, Mode::Plain, $link);
            }

            #[test]
            fn valgrind() {
                Bench::new().passes(FILE, Mode::Valgrind, $link);
            }

            #[test]
            fn sanitized() {
                Bench::new().passes(FILE, Mode::Sanitized, $link);
            }
        })*
    };
}

programs! {
    static_token, "-lhoopauth";
    oauth, "-lhoopauth";
    waiting, "-lhoopauth";
    callbacks, "-lhoopauth";
    failing, "-lhoopauth";
    ending, "-lhoopauth";
    store, "-lhoopauth";
    request, "-lhoopauth";
    webhook, "-lhoopauth";
    loading, "-lhoopauth";
    panics, "-lhoopauth_fault_injection";
}

/// A child leaves what it inherited as it is, never frees it: so leaks are not looked for here, all
/// else is. Without the sanitizer: its allocator's locks stay locked in a child that is forked
/// while another thread allocates.
#[test]
fn fork() {
    for mode in [Mode::Plain, Mode::Valgrind] {
        let mut bench = Bench::new();
        bench.leaks = false;
        bench.passes("fork.c", mode, "-lhoopauth");
    }
}

#[test]
fn versions_and_codes_are_those_of_the_core() {
    let printed = Bench::new().passes("versions.c", Mode::Plain, "-lhoopauth");
    let version = env!("CARGO_PKG_VERSION");
    let mut expected =
        format!("version {version} {version}\nnumbers {version}\nabi 1 1\nstatus 0 OK\n");
    for code in ErrorCode::ALL {
        writeln!(expected, "status {} {}", code.number(), code.name()).unwrap();
    }
    assert_eq!(printed, expected);
}

#[test]
fn the_sanitizers_and_valgrind_are_on() {
    let bench = Bench::new();
    let source = crate::harness::root().join("tests/c/overflow.c");
    let sanitized = bench.compile(&source, Mode::Sanitized, "-lhoopauth");
    for (what, said) in [
        ("memory", "AddressSanitizer: heap-buffer-overflow"),
        ("leak", "LeakSanitizer: detected memory leaks"),
        ("arithmetic", "signed integer overflow"),
    ] {
        let output = bench.run(&sanitized, Mode::Sanitized, &[what]);
        assert!(
            !output.status.success() && text(&output).contains(said),
            "{what}: {}",
            text(&output)
        );
    }
    let plain = bench.compile(&source, Mode::Plain, "-lhoopauth");
    for (what, said) in [("memory", "Invalid read"), ("leak", "definitely lost")] {
        let output = bench.run(&plain, Mode::Valgrind, &[what]);
        assert_eq!(output.status.code(), Some(99), "{what}: {}", text(&output));
        assert!(text(&output).contains(said), "{what}: {}", text(&output));
    }
}
