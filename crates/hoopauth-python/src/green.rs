//! Green threads: the greenlets of gevent and eventlet. Several share one thread of the system, and
//! any Python code may switch to another one; so what belongs to a call is kept by greenlet, and
//! nothing that a greenlet has to end is waited for by blocking its thread.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::in_call::SetAside;

/// A module, if the program imported it.
fn imported<'py>(
    py: Python<'py>,
    name: &Bound<'py, pyo3::types::PyString>,
) -> Option<Bound<'py, PyAny>> {
    let modules = py.import(intern!(py, "sys")).ok()?.getattr(intern!(py, "modules")).ok()?;
    let module = modules.cast::<PyDict>().ok()?.get_item(name).ok()??;
    (!module.is_none()).then_some(module)
}

/// The greenlet that runs, where the program uses greenlets.
fn greenlet(py: Python<'_>) -> Option<Bound<'_, PyAny>> {
    imported(py, intern!(py, "greenlet"))?.call_method0(intern!(py, "getcurrent")).ok()
}

/// Tells the green threads of this thread apart: the same number for all in programs without them.
fn current(py: Python<'_>) -> usize {
    greenlet(py).map_or(0, |greenlet| greenlet.as_ptr() as usize)
}

/// Runs Python code that may switch to other greenlets, detached or attached; `None` where the
/// interpreter is ending.
///
/// PyO3 counts, per thread, how often the thread is attached, and trusts the count. Other greenlets
/// come and go meanwhile and leave another count: so it is set anew afterwards, which only the end
/// of a detached section does.
pub(crate) fn switching<T>(work: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    Python::try_attach(|py| {
        let _aside = SetAside::new();
        hoopauth::binding::outside(|| {
            if imported(py, intern!(py, "greenlet")).is_none() {
                return work(py);
            }
            let work = OnThisThread(work);
            py.detach(move || {
                let OnThisThread(work) = { work };
                let attached = Attached::new();
                OnThisThread(work(attached.python()))
            })
            .0
        })
    })
}

/// Crosses a detached section without leaving its thread.
struct OnThisThread<T>(T);

// SAFETY: `Python::detach` runs its closure on the calling thread, before it returns. What it
// carries in and out is used only while that thread is attached.
unsafe impl<T> Send for OnThisThread<T> {}

/// An attachment that PyO3 does not count.
struct Attached(ffi::PyGILState_STATE);

impl Attached {
    fn new() -> Self {
        // SAFETY: the interpreter runs: the caller was attached to it a moment ago, and it waits
        // for its threads at its end.
        Self(unsafe { ffi::PyGILState_Ensure() })
    }

    fn python(&self) -> Python<'_> {
        // SAFETY: attached as long as this lives.
        unsafe { Python::assume_attached() }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // SAFETY: the other half of `new`, on the same thread.
        unsafe { ffi::PyGILState_Release(self.0) }
    }
}

/// Lets other greenlets of this thread run for about so long; `false`, at once, where there are
/// none.
pub(crate) fn let_others_run(pause: Duration) -> bool {
    let slept = switching(|py| {
        sleep_of(py).is_some_and(|sleep| match sleep.call1((pause.as_secs_f64(),)) {
            Ok(_) => true,
            // Such as in the hub itself, which can't wait.
            Err(raised) => {
                drop(raised);
                false
            }
        })
    });
    slept.unwrap_or(false)
}

/// Returns a `sleep` that lets the other greenlets run: `time.sleep` if it was patched, else that
/// of this greenlet's library.
fn sleep_of(py: Python<'_>) -> Option<Bound<'_, PyAny>> {
    let current = greenlet(py)?;
    let time = py.import(intern!(py, "time")).ok()?.getattr(intern!(py, "sleep")).ok()?;
    let module: Option<String> = time.getattr(intern!(py, "__module__")).ok()?.extract().ok();
    if module.is_some_and(|module| module.starts_with("gevent") || module.starts_with("eventlet")) {
        return Some(time);
    }
    if current.getattr(intern!(py, "parent")).ok()?.is_none() {
        return None;
    }
    [intern!(py, "gevent"), intern!(py, "eventlet")]
        .into_iter()
        .find_map(|name| imported(py, name))
        .and_then(|library| library.getattr(intern!(py, "sleep")).ok())
}

/// Returns `true` if this thread has other greenlets, which a wait should let run.
pub(crate) fn any(py: Python<'_>) -> bool {
    sleep_of(py).is_some()
}

/// Greenlets of this thread that are inside of something.
pub(crate) struct Inside {
    count: Cell<u32>,
    greenlets: RefCell<Vec<usize>>,
}

impl Inside {
    pub(crate) const fn nowhere() -> Self {
        Self { count: Cell::new(0), greenlets: RefCell::new(Vec::new()) }
    }

    /// Goes inside; the answer is for [`leave`](Self::leave).
    pub(crate) fn enter(&self, py: Python<'_>) -> usize {
        let current = current(py);
        self.greenlets.borrow_mut().push(current);
        self.count.set(self.count.get() + 1);
        current
    }

    pub(crate) fn leave(&self, greenlet: usize) {
        let mut greenlets = self.greenlets.borrow_mut();
        if let Some(at) = greenlets.iter().rposition(|inside| *inside == greenlet) {
            greenlets.swap_remove(at);
            self.count.set(self.count.get() - 1);
        }
    }

    /// Returns `true` if the greenlet that runs now is inside.
    #[inline]
    pub(crate) fn is_current(&self, py: Python<'_>) -> bool {
        self.count.get() > 0 && self.holds(py)
    }

    #[cold]
    fn holds(&self, py: Python<'_>) -> bool {
        let current = current(py);
        self.greenlets.borrow().contains(&current)
    }
}
