//! Pages of lists that came as a whole.
//!
//! Pure. Invariant: the cursor is the id of the last item, so that others may come and go between two pages.

use portico_sdk::{Page, PageRequest};

/// In the order of ids.
pub fn page<T>(all: Vec<T>, id: impl Fn(&T) -> &str, request: &PageRequest) -> Page<T> {
    let (places, next) = chosen(all.iter().map(|item| id(item).to_owned()).collect(), request);
    let mut all: Vec<Option<T>> = all.into_iter().map(Some).collect();
    let items = places.into_iter().filter_map(|place| all.get_mut(place)?.take()).collect();
    Page { items, next }
}

/// Places of the page's items. By ids alone, so that sorting is compiled once and not for every resource.
fn chosen(ids: Vec<String>, request: &PageRequest) -> (Vec<usize>, Option<String>) {
    let after = |id: &String| request.cursor.as_ref().is_none_or(|cursor| id > cursor);
    let mut rest: Vec<(String, usize)> = ids.into_iter().zip(0..).filter(|(id, _)| after(id)).collect();
    rest.sort_unstable();
    let limit = request.limit as usize;
    let next = if rest.len() > limit { rest.get(limit.wrapping_sub(1)).map(|(id, _)| id.clone()) } else { None };
    (rest.into_iter().take(limit).map(|(_, place)| place).collect(), next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_by_the_last_id() {
        let ids = |items: &[&str]| items.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let cut = |cursor: Option<&str>| {
            let request = PageRequest { cursor: cursor.map(str::to_owned), limit: 2 };
            page(ids(&["c", "a", "d", "b"]), |id| id, &request)
        };
        assert_eq!(cut(None), Page { items: ids(&["a", "b"]), next: Some("b".into()) });
        assert_eq!(cut(Some("b")), Page { items: ids(&["c", "d"]), next: None });
        assert_eq!(cut(Some("bb")).items, ["c", "d"], "also when that one is gone");
    }
}
