//! Says what is wrong in a configuration, where, and what was probably meant.

use figment::error::{Error, Kind};

/// One line for each problem.
pub fn explain(error: Error) -> String {
    error.into_iter().map(|one| explain_one(&one)).collect::<Vec<_>>().join("\n")
}

fn explain_one(error: &Error) -> String {
    let place = place(error);
    match &error.kind {
        Kind::UnknownField(name, known) => {
            let path = error.path.iter().filter(|part| *part != name).map(|part| format!("{part}.")).collect::<String>();
            let hint = nearest(name, known)
                .map_or_else(|| format!("known here: {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
            format!("unknown key `{path}{name}`{place}: {hint}")
        }
        kind => {
            let path = error.path.join(".");
            format!("`{path}`{place}: {kind}")
        }
    }
}

fn place(error: &Error) -> String {
    let source = error.metadata.as_ref().map(|metadata| match &metadata.source {
        Some(source) => source.to_string(),
        None => metadata.name.to_string(),
    });
    source.map_or_else(String::new, |source| format!(" in {source}"))
}

/// The most similar known key, if it is similar at all.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    /// Jaro-Winkler: one or two typing errors in a word stay above this.
    const SIMILAR: f64 = 0.75;
    let scored = known.iter().map(|candidate| (strsim::jaro_winkler(name, candidate), *candidate));
    scored.max_by(|one, other| one.0.total_cmp(&other.0)).filter(|(score, _)| *score >= SIMILAR).map(|(_, name)| name)
}
