//! Log records for host programs that have no `tracing`: what the bindings are made of.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use arc_swap::ArcSwapOption;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::callback::{Marks, calling};
use crate::error::{Error, Result};

/// One record. It holds no secret.
#[derive(Clone, Copy, Debug)]
pub struct LogRecord<'a> {
    /// 1 error, 2 warning, 3 information, 4 debug, 5 trace.
    pub level: u8,
    /// The part of the library, such as `hoopauth::refresh`.
    pub target: &'a str,
    /// The text, with the fields behind it.
    pub message: &'a str,
}

/// Takes records, on whatever thread they come up, concurrently.
pub trait LogSink: Send + Sync {
    /// Takes one.
    fn log(&self, record: &LogRecord<'_>);
}

/// Sends this library's records up to `level` (0: none) to `sink`, in place of the one before.
/// `INVALID_STATE` where the program has a subscriber of `tracing` of its own, which gets them
/// already.
pub fn set_log(level: u8, sink: Option<Arc<dyn LogSink>>) -> Result<()> {
    static INSTALLED: once_cell::sync::OnceCell<bool> = once_cell::sync::OnceCell::new();
    if !INSTALLED.get_or_init(|| tracing::subscriber::set_global_default(Forward).is_ok()) {
        return Err(Error::state(
            "the program has a `tracing` subscriber already, which gets these records",
        ));
    }
    LEVEL.store(if sink.is_some() { level.min(5) } else { 0 }, Ordering::SeqCst);
    SINK.store(sink.map(Arc::new));
    tracing::callsite::rebuild_interest_cache();
    Ok(())
}

struct Forward;

impl Subscriber for Forward {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && number(*metadata.level()) <= LEVEL.load(Ordering::Relaxed)
            && (metadata.target() == "hoopauth" || metadata.target().starts_with("hoopauth::"))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match LEVEL.load(Ordering::Relaxed) {
            0 => LevelFilter::OFF,
            1 => LevelFilter::ERROR,
            2 => LevelFilter::WARN,
            3 => LevelFilter::INFO,
            4 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        })
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let Some(sink) = SINK.load_full() else { return };
        // What a sink itself gives rise to is not logged.
        if Marks::get().logging {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let message = text.message + &text.fields;
        let metadata = event.metadata();
        let record = LogRecord {
            level: number(*metadata.level()),
            target: metadata.target(),
            message: &message,
        };
        calling(|| {
            Marks::change(|marks| marks.logging = true);
            sink.log(&record);
        });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

fn number(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

static LEVEL: AtomicU8 = AtomicU8::new(0);
static SINK: ArcSwapOption<Arc<dyn LogSink>> = ArcSwapOption::const_empty();
