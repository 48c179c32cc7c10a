//! Pages of lists.

use crate::error::Error;

/// The size of a page: what was asked, `usual` where nothing was.
pub(super) fn size(asked: u32, usual: usize, most: usize) -> Result<usize, Error> {
    match usize::try_from(asked).unwrap_or(usize::MAX) {
        0 => Ok(usual),
        size if size <= most => Ok(size),
        _ => Err(Error::bad("page_size", format!("must be {most} at most"))),
    }
}

/// Cuts a list that has one item more where another page follows, and tells the last item's token then.
pub(super) fn cut<T>(items: &mut Vec<T>, size: usize, token: impl Fn(&T) -> String) -> String {
    if items.len() <= size {
        return String::new();
    }
    items.truncate(size);
    items.last().map(token).unwrap_or_default()
}
