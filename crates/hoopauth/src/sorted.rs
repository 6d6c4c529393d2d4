//! Sorting.

use std::collections::BinaryHeap;

/// `items` in their order. A heap sorts in much less code than the standard library's sorts, and
/// nothing here sorts often.
pub(crate) fn sorted<T: Ord>(items: Vec<T>) -> Vec<T> {
    BinaryHeap::from(items).into_sorted_vec()
}
