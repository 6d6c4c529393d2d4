//! The parts behind a Python client: the core's client of this process, and the program's objects.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwapOption;
use hoopauth::binding::Process;
use hoopauth::{ClientBuilder, Error, ErrorCode};
use pyo3::PyTraverseError;
use pyo3::class::PyVisit;
use pyo3::prelude::*;

use crate::callback::Slot;
use crate::change::hook;
use crate::clock::PyClock;
use crate::error::{exception, raised};
use crate::store::PyStore;
use crate::transport::PyTransport;

/// A core client, and the process it was made in.
pub(crate) struct Core {
    pub(crate) client: hoopauth::Client,
    pub(crate) process: Process,
}

impl Core {
    fn new(client: hoopauth::Client) -> Self {
        Self { client, process: Process::this() }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if !self.process.is_this() {
            // In a forked child: connections, locks and threads behind it are the parent's. It is
            // never dropped.
            std::mem::forget(self.client.clone());
        }
    }
}

/// Returns `true` if `process` is another process than this one: its parent.
pub(crate) fn foreign(process: Process) -> bool {
    !process.is_this()
}

/// Shared by the Python object, its calls, and the list of those to close at exit.
pub(crate) struct Live {
    /// Empty only while this is dropped.
    core: ArcSwapOption<Core>,
    objects: Objects,
    closed: AtomicBool,
    busy: Arc<AtomicUsize>,
}

impl Live {
    /// Makes the first core client.
    pub(crate) fn new(py: Python<'_>, builder: ClientBuilder, objects: Objects) -> PyResult<Self> {
        let client = raised(py, objects.give(py, builder)?.build())?;
        Ok(Self {
            core: ArcSwapOption::from_pointee(Core::new(client)),
            objects,
            closed: AtomicBool::new(false),
            busy: Arc::default(),
        })
    }

    /// The core client as it is, for what never waits: in a forked child its cached headers go on.
    #[inline]
    pub(crate) fn current(&self) -> arc_swap::Guard<Option<Arc<Core>>> {
        self.core.load()
    }

    /// The core client of this process; a forked child makes its own.
    pub(crate) fn core(&self, py: Python<'_>) -> PyResult<Arc<Core>> {
        let core = self.core.load_full().ok_or_else(|| closed(py))?;
        if core.process.is_this() {
            return Ok(core);
        }
        if self.closed.load(Ordering::SeqCst) {
            return Err(closed(py));
        }
        if let Some(store) = &self.objects.store
            && !store.get(py).is_some_and(|store| {
                store.getattr("shared").is_ok_and(|shared| shared.is_truthy().unwrap_or(false))
            })
        {
            return Err(state(
                py,
                "the process was forked, and the program's store does not say that processes may \
                 share it: make the client in the child, or set `shared = True` on the store",
            ));
        }
        let builder = raised(py, core.client.again())?;
        let made = Arc::new(Core::new(raised(py, self.objects.give(py, builder)?.build())?));
        // Another thread of the child may have been faster.
        let before = self.core.compare_and_swap(&core, Some(Arc::clone(&made)));
        Ok(before.as_ref().filter(|before| !Arc::ptr_eq(before, &core)).map_or(made, Arc::clone))
    }

    /// `true` if calls may call objects of the program.
    pub(crate) fn has_objects(&self) -> bool {
        self.objects.all().next().is_some()
    }

    /// While the answer lives, a call may use the program's objects.
    pub(crate) fn busy(&self) -> Busy {
        self.busy.fetch_add(1, Ordering::SeqCst);
        Busy(Arc::clone(&self.busy))
    }

    /// Marks it closed; the core client to close, unless it is another process's.
    pub(crate) fn close(&self) -> Option<hoopauth::Client> {
        self.closed.store(true, Ordering::SeqCst);
        let core = self.core.load_full().filter(|core| core.process.is_this())?;
        Some(core.client.clone())
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(crate) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // A call goes on without its caller: what it calls must not be taken for garbage, or a new
        // pair is not saved.
        if self.busy.load(Ordering::SeqCst) > 0 {
            return Ok(());
        }
        self.objects.all().try_for_each(|slot| slot.visit(visit))
    }

    pub(crate) fn clear(&self) {
        if self.busy.load(Ordering::SeqCst) == 0 {
            self.objects.all().for_each(Slot::clear);
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let Some(core) = self.core.swap(None) else { return };
        if self.busy.load(Ordering::SeqCst) > 0 && core.process.is_this() {
            // A call goes on without its caller: whoever ends the program has to wait for it.
            note_orphan(core, Arc::clone(&self.busy));
            return;
        }
        // What ends with it may wait for other threads, and they for the interpreter.
        Python::try_attach(|py| py.detach(|| drop(core)));
    }
}

/// See [`Live::busy`].
pub(crate) struct Busy(Arc<AtomicUsize>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Objects that the program brought.
#[derive(Default)]
pub(crate) struct Objects {
    pub(crate) store: Option<Arc<Slot>>,
    pub(crate) transport: Option<Arc<Slot>>,
    pub(crate) clock: Option<Arc<Slot>>,
    pub(crate) on_change: Option<Arc<Slot>>,
}

impl Objects {
    fn give(&self, py: Python<'_>, mut builder: ClientBuilder) -> PyResult<ClientBuilder> {
        if let Some(store) = &self.store {
            builder = builder.token_store(Arc::new(PyStore::new(py, Arc::clone(store))?));
        }
        if let Some(transport) = &self.transport {
            builder = builder.transport(Arc::new(PyTransport::new(py, Arc::clone(transport))?));
        }
        if let Some(clock) = &self.clock {
            builder = builder.clock(Arc::new(PyClock::new(py, Arc::clone(clock))?));
        }
        if let Some(on_change) = &self.on_change {
            on_change.require_callable(py)?;
            builder = builder.on_change(hook(Arc::clone(on_change)));
        }
        Ok(builder)
    }

    fn all(&self) -> impl Iterator<Item = &Slot> {
        [&self.store, &self.transport, &self.clock, &self.on_change]
            .into_iter()
            .flatten()
            .map(|slot| &**slot)
    }
}

fn closed(py: Python<'_>) -> PyErr {
    state(py, "the client is closed: make a new one")
}

fn state(py: Python<'_>, message: &str) -> PyErr {
    exception(py, &Error::new(ErrorCode::InvalidState, message), None)
}

/// Notes a client, to be closed when the interpreter ends.
pub(crate) fn note(live: &Arc<Live>) {
    let mut all = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if all.len() == all.capacity() {
        all.retain(|live| live.strong_count() > 0);
    }
    all.push(Arc::downgrade(live));
}

/// Notes the core client of an object that is gone while calls of it go on.
fn note_orphan(core: Arc<Core>, busy: Arc<AtomicUsize>) {
    let mut all = ORPHANS.lock().unwrap_or_else(PoisonError::into_inner);
    let (idle, mut working): (Vec<_>, Vec<_>) = std::mem::take(&mut *all)
        .into_iter()
        .partition(|(_, busy)| busy.load(Ordering::SeqCst) == 0);
    working.push((core, busy));
    *all = working;
    drop(all);
    Python::try_attach(|py| py.detach(|| drop(idle)));
}

/// Takes all clients that were noted.
pub(crate) fn take_open() -> Vec<Weak<Live>> {
    std::mem::take(&mut *OPEN.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Takes the core clients of this process whose objects are gone.
pub(crate) fn take_orphans() -> Vec<hoopauth::Client> {
    let orphans = std::mem::take(&mut *ORPHANS.lock().unwrap_or_else(PoisonError::into_inner));
    let own = orphans.into_iter().map(|(core, _)| core).filter(|core| core.process.is_this());
    own.map(|core| core.client.clone()).collect()
}

// They are held with the interpreter attached and released before anything else is done: no forked
// child finds them taken.
static OPEN: Mutex<Vec<Weak<Live>>> = Mutex::new(Vec::new());
static ORPHANS: Mutex<Vec<(Arc<Core>, Arc<AtomicUsize>)>> = Mutex::new(Vec::new());
