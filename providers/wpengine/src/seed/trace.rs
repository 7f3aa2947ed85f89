//! Finds what a creation has made that can carry no mark: by what was there before it.
//!
//! Before anything is sent, the ids of all that would look alike are noted in the connection's state; afterwards, whatever looks
//! alike and isn't among them is what was made. Invariant: without a note nothing was sent; more than one new thing is never
//! guessed at. Somebody else who makes the like in the same moment can't be told apart.

use crate::error;
use portico_sdk::{Error, json, state};
use serde_json::{Value, json};

/// What there is that wasn't there before.
#[derive(Debug, PartialEq, Eq)]
pub enum New {
    Nothing,
    One(String),
    Several,
}

/// Notes `alike` for a first try; of a later one, what has been made since.
pub fn begin(operation: &str, alike: Vec<String>) -> Result<New, Error> {
    if noted(operation)?.is_some() {
        return look(operation, alike);
    }
    state::set(&key(operation), json!(alike).to_string().as_bytes())?;
    Ok(New::Nothing)
}

/// `alike`: the ids of today.
pub fn look(operation: &str, alike: Vec<String>) -> Result<New, Error> {
    let Some(before) = noted(operation)? else { return Ok(New::Nothing) };
    let mut new = alike.into_iter().filter(|id| !before.iter().any(|known| known == id));
    Ok(match (new.next(), new.next()) {
        (None, _) => New::Nothing,
        (Some(one), None) => New::One(one),
        (Some(_), Some(_)) => New::Several,
    })
}

/// The answer to what was sent; a refusal ends the operation.
pub fn sent<T>(operation: &str, answer: Result<T, Error>) -> Result<T, Error> {
    if answer.as_ref().is_err_and(|error| !error::is_passing(error)) {
        forget(operation)?;
    }
    answer
}

/// The operation has ended.
pub fn forget(operation: &str) -> Result<(), Error> {
    state::delete(&key(operation))
}

fn noted(operation: &str) -> Result<Option<Vec<Value>>, Error> {
    let note = state::get(&key(operation))?;
    note.map(|bytes| json::from_slice(&bytes)).transpose()
}

fn key(operation: &str) -> String {
    format!("before/{operation}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use portico_sdk::testing::FakeHost;

    #[test]
    fn what_is_new_is_what_was_made() {
        let host = FakeHost::install();
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        assert_eq!(look("op_1", ids(&["a"])).unwrap(), New::Nothing, "nothing was sent");
        assert_eq!(begin("op_1", ids(&["a"])).unwrap(), New::Nothing);
        assert_eq!(look("op_1", ids(&["a"])).unwrap(), New::Nothing);
        assert_eq!(look("op_1", ids(&["b", "a"])).unwrap(), New::One("b".into()));
        assert_eq!(begin("op_1", ids(&["b", "a"])).unwrap(), New::One("b".into()));
        assert_eq!(look("op_1", ids(&["b", "c"])).unwrap(), New::Several);
        assert_eq!(begin("op_2", ids(&["b", "c"])).unwrap(), New::Nothing);
        forget("op_1").unwrap();
        let answer = |error| sent::<()>("op_2", Err(error)).unwrap_err();
        answer(portico_sdk::error::unavailable("later"));
        assert_eq!(host.state().len(), 1);
        answer(portico_sdk::error::conflict("never"));
        assert_eq!(host.state().len(), 0);
    }
}
