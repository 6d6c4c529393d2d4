//! The Python module of hoopauth.

// NOTE FROM THE LEAD (remove this comment): host stores get a shared adapter in the core: `hoopauth::store::HostStore` over the
// trait `hoopauth::store::RowStore` (versioned opaque blobs with compare-and-set; three methods are enough: load, save, list;
// lease, budget, claims, change counter are optional with in-process fallbacks). It is on branch `main` now
// (`git merge main`). Build the Python store (`hoopauth.TokenStore`) on it: a Python object with
// load/save/list and the optional methods. Do the store last, after that merge.
