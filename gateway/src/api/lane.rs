//! Which limits a request has: most are alike, and a few endpoints aren't.
//!
//! In go a method and a route's template; out comes a lane. Invariant: templates that stand here are endpoints; a test looks.

use crate::policy::Lane;
use http::Method;

const OPERATION: &str = "/api/v1/operations/{operation}";
const BLOB: &str = "/api/v1/sites/{site}/deployments/plans/{plan}/blobs/{hash}";
/// What lets somebody in, and has a password hashed.
const DOORS: [&str; 3] = ["/api/v1/auth/login", "/api/v1/auth/register", "/api/v1/invitations/accept"];

/// What load balancers ask all the time, and most of all while the gateway is busy; it is answered at once.
const HEALTH: [&str; 2] = ["/livez", "/readyz"];

/// The lane, and whether it is an attempt to come in.
pub fn of(method: &Method, template: &str) -> (Lane, bool) {
    let lane = match template {
        OPERATION | "/livez" | "/readyz" if reads(method) => Lane::LookUp,
        BLOB if *method == Method::PUT => Lane::Upload,
        _ => Lane::Ordinary,
    };
    (lane, DOORS.contains(&template) && *method == Method::POST)
}

/// The same of a look-up, before the route is known.
pub fn looks_up(method: &Method, path: &str) -> bool {
    let operation = path.strip_prefix("/api/v1/operations/").filter(|rest| !rest.is_empty() && !rest.contains('/'));
    operation.is_some() && reads(method)
}

/// Who asks that needs no turn, whoever they are: it costs no more than a refusal.
pub fn asks_health(method: &Method, path: &str) -> bool {
    HEALTH.contains(&path) && reads(method)
}

fn reads(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::routes;

    #[test]
    fn the_endpoints_of_every_lane_exist() {
        let endpoints = routes::endpoints();
        let lanes = |wanted| {
            let found = endpoints.iter().filter(|one| of(&one.method, &format!("/api/v1{}", one.path)).0 == wanted);
            found.map(|endpoint| endpoint.name).collect::<Vec<_>>()
        };
        assert_eq!(lanes(Lane::LookUp), ["operations.get"]);
        for (method, path, wanted) in [
            (Method::GET, "/api/v1/operations/op_1", true),
            (Method::HEAD, "/api/v1/operations/op_1", true),
            (Method::POST, "/api/v1/operations/op_1", false),
            (Method::GET, "/api/v1/operations/op_1/events", false),
            (Method::GET, "/api/v1/operations/", false),
            (Method::GET, "/api/v1/operations", false),
        ] {
            assert_eq!(looks_up(&method, path), wanted, "{method} {path}");
        }
        for (method, path, wanted) in [
            (Method::GET, "/livez", true),
            (Method::HEAD, "/readyz", true),
            (Method::POST, "/livez", false),
            (Method::GET, "/livez/", false),
        ] {
            assert_eq!(asks_health(&method, path), wanted, "{method} {path}");
            assert_eq!(of(&method, path).0 == Lane::LookUp, wanted, "{method} {path}");
        }
        assert_eq!(lanes(Lane::Upload), ["deployments.upload"]);
        let doors = endpoints.iter().filter(|one| of(&one.method, &format!("/api/v1{}", one.path)).1);
        let open = endpoints.iter().filter(|one| one.open && one.method == Method::POST);
        let names = |all: &mut dyn Iterator<Item = &crate::api::spec::Endpoint>| all.map(|one| one.name).collect::<Vec<_>>();
        assert_eq!(names(&mut doors.into_iter()), names(&mut open.into_iter()), "whoever comes without a credential");
    }
}
