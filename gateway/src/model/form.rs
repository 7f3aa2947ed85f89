//! The forms that values have in requests, as the API's document states them.
//!
//! In goes nothing; out come schemas, for fields that say `#[schemars(with = "Option<form::Name>")]`. Invariant: a form is
//! checked by the function of the API that it names, and a test holds that both take the same values; what a pattern can't say
//! (that an address can be parsed) is left out of it, never guessed.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// No control characters (Unicode's Cc).
const PLAIN: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";
/// As [`PLAIN`], and no white space (Unicode's `White_Space`) at the ends.
const TRIMMED: &str = concat!(
    r"^[^\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]",
    r"([^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000])?$"
);
const EMAIL: &str = concat!(
    r"^[^@\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+",
    r"@[^@\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*",
    r"\.[^@\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*$"
);
/// Between two slashes there is neither nothing, nor one dot, nor two.
const FILE_PATH: &str = concat!(
    r"^(/([^\x00-\x1f\x7f-\x9f/\\.][^\x00-\x1f\x7f-\x9f/\\]{0,254}|",
    r"\.[^\x00-\x1f\x7f-\x9f/\\.][^\x00-\x1f\x7f-\x9f/\\]{0,253}|\.\.[^\x00-\x1f\x7f-\x9f/\\]{1,253}))+$"
);
const SLUG: &str = "^[a-z0-9][a-z0-9-]{0,62}$";
const SCOPE: &str = concat!(
    "^((account|audit|auth|backups|billing|connections|deployments|domains|environments|events|invitations|members|",
    "operations|providers|sites|tokens|wordpress):)?(read|write)$"
);
/// Who did something, as the audit log writes it.
const ACTOR: &str = "^(operator|nobody|(token|user):[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$";

macro_rules! label {
    () => {
        "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
    };
}
const DOMAIN: &str = concat!(r"^(\*\.)?(", label!(), r"\.)+", label!(), "$");
/// In a path the star may be escaped, as in every id.
const DOMAIN_IN_PATH: &str = concat!(r"^((\*|=2A)\.)?(", label!(), r"\.)+", label!(), "$");

/// One character of an escaped native id that isn't a dot: a plain one, an escaped one of ASCII that isn't plain, or one of UTF-8.
macro_rules! unit {
    () => {
        concat!(
            "[A-Za-z0-9_-]|=([01][0-9A-F]|2[0-9A-CF]|3[A-F]|40|5[B-E]|60|7[B-F]|",
            "(C[2-9A-F]|D[0-9A-F])=[89AB][0-9A-F]|",
            "(E0=[AB][0-9A-F]|E[1-9A-CEF]=[89AB][0-9A-F]|ED=[89][0-9A-F])=[89AB][0-9A-F]|",
            "(F0=[9AB][0-9A-F]|F[123]=[89AB][0-9A-F]|F4=8[0-9A-F])=[89AB][0-9A-F]=[89AB][0-9A-F])"
        )
    };
}
macro_rules! native {
    () => {
        concat!(r"(\.*(", unit!(), r")(\.|", unit!(), r")*|\.{3,512})")
    };
}
const NATIVE: &str = concat!("^", native!(), "$");
const SITE: &str = concat!("^[a-z0-9][a-z0-9-]{0,62}~", native!(), "$");

/// What stands in a path for a thing of this name, without the words.
pub fn in_path(name: &str) -> Schema {
    match name {
        "operation" => json_schema!({ "type": "string", "pattern": "^op_[0-9a-f]{32}$" }),
        "token" | "member" | "invitation" => json_schema!({
            "type": "string", "format": "uuid", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        }),
        "hash" => json_schema!({ "type": "string", "pattern": "^[0-9a-f]{64}$" }),
        "site" => json_schema!({ "type": "string", "pattern": SITE, "maxLength": 576 }),
        "connection" | "provider" => json_schema!({ "type": "string", "pattern": SLUG }),
        "domain" => json_schema!({ "type": "string", "pattern": DOMAIN_IN_PATH, "maxLength": 253 }),
        _ => json_schema!({ "type": "string", "minLength": 1, "pattern": NATIVE, "maxLength": 512 }),
    }
}

macro_rules! forms {
    ($($(#[$doc:meta])* $name:ident = $schema:tt;)+) => {
        $(
            $(#[$doc])*
            pub struct $name;

            impl JsonSchema for $name {
                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn inline_schema() -> bool {
                    true
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    json_schema!($schema)
                }
            }
        )+
    };
}

forms! {
    /// `names::display_name`
    Name = { "type": "string", "minLength": 1, "maxLength": 100, "pattern": TRIMMED };
    /// `names::slug`
    SlugText = { "type": "string", "pattern": SLUG };
    /// Slugs, separated by commas.
    Slugs = { "type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,62}(,[a-z0-9][a-z0-9-]{0,62})*$" };
    /// `names::domain`
    DomainName = { "type": "string", "maxLength": 253, "pattern": DOMAIN };
    /// `names::email`
    Email = { "type": "string", "maxLength": 254, "pattern": EMAIL };
    /// One that is chosen. Those that everybody tries are refused, too.
    NewPassword = { "type": "string", "minLength": 12, "maxLength": 128 };
    /// One that is compared.
    GivenPassword = { "type": "string", "minLength": 1, "maxLength": 1024 };
    /// A word of a token's scopes.
    Scope = { "type": "string", "pattern": SCOPE };
    /// An address, or a network with its prefix; whether it is one, a parser says.
    NetworkText = { "type": "string", "maxLength": 49, "pattern": "^[0-9A-Fa-f:.]{2,45}(/[0-9]{1,3})?$" };
    /// Somebody in the audit log.
    Actor = { "type": "string", "pattern": ACTOR };
    /// An action in the audit log.
    ActionName = { "type": "string", "pattern": "^[a-z]+([.][a-z_]+){0,2}$" };
    /// `names::url`, for https alone.
    HttpsUrl = { "type": "string", "maxLength": 2000, "format": "uri", "pattern": "^https://" };
    /// `names::url`
    HttpUrl = { "type": "string", "maxLength": 2000, "format": "uri", "pattern": "^https?://" };
    /// `walk::limit`
    Limit = { "type": "integer", "minimum": 1, "maximum": 100, "default": 10 };
    /// 64 lower-case hex digits.
    Hash = { "type": "string", "pattern": "^[0-9a-f]{64}$" };
    /// 0 to 60 seconds.
    Wait = { "type": "string", "pattern": "^([0-5]?[0-9]|60)s?$" };
    /// A label in a search: key, or key:value.
    LabelFilter = { "type": "string", "pattern": r"^[a-z0-9][a-z0-9._/-]{0,62}(:[^\x00-\x1f\x7f-\x9f]{0,255})?$" };
    /// Labels of a site.
    LabelValues = {
        "type": "object",
        "maxProperties": 32,
        "propertyNames": { "pattern": "^[a-z0-9][a-z0-9._/-]{0,62}$" },
        "additionalProperties": { "type": "string", "maxLength": 255, "pattern": PLAIN },
    };
    /// Changes of labels.
    LabelChanges = {
        "type": "object",
        "maxProperties": 64,
        "propertyNames": { "pattern": "^[a-z0-9][a-z0-9._/-]{0,62}$" },
        "additionalProperties": { "type": ["string", "null"], "maxLength": 255, "pattern": PLAIN },
    };
    /// What is searched for in a database, or put in its place: with line breaks and tabs.
    Content = { "type": "string", "maxLength": 4096, "pattern": r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$" };
    /// A slug of the wordpress.org directory, or an address.
    ExtensionSource = { "type": "string", "maxLength": 2000, "pattern": r"^([A-Za-z0-9][A-Za-z0-9._-]{0,99}|https://.+)$" };
    /// A commit's name.
    Commit = { "type": "string", "pattern": "^[0-9A-Fa-f]{7,64}$" };
    /// A file's place inside its site.
    FilePath = {
        "type": "string",
        "maxLength": 1024,
        "pattern": FILE_PATH,
    };
    /// A media type, with parameters or without.
    MediaType = {
        "type": "string",
        "maxLength": 255,
        "pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]+/[A-Za-z0-9!#$%&'*+.^_`|~-]+ *(;[ -~]*)?$",
    };
    /// A value that is kept secret.
    SecretText = { "type": "string", "minLength": 1, "maxLength": 16384, "pattern": r"^[^\r\n\x00]*$" };
    /// SHA-256 of a certificate.
    Fingerprint = { "type": "string", "pattern": "^:*([0-9A-Fa-f]:*){64}$" };
    /// What a site can be told to be.
    WantedStatus = { "type": "string", "enum": ["running", "stopped"] };
}

/// `names::text`: 1 to `MOST` characters.
pub struct Text<const MOST: usize>;

impl<const MOST: usize> JsonSchema for Text<MOST> {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn schema_id() -> Cow<'static, str> {
        format!("{}::Text<{MOST}>", module_path!()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": MOST, "pattern": PLAIN })
    }
}

/// A schema that only takes objects in which these fields are null, or aren't there.
pub fn absent<'a>(names: impl IntoIterator<Item = &'a str>) -> Value {
    let nulls: Map<_, _> = names.into_iter().map(|name| (name.to_owned(), json!({ "type": "null" }))).collect();
    json!({ "properties": nulls })
}

/// Of a source: `git` needs its repository, `zip` its address, and neither has what belongs to the other.
pub fn git_or_zip(schema: &mut Schema) {
    let taken = |needed: &str, foreign: &[&str]| {
        let mut properties: Map<_, _> = foreign.iter().map(|&name| (name.to_owned(), json!({ "type": "null" }))).collect();
        properties.insert(needed.to_owned(), json!({ "type": "string" }));
        json!({ "required": [needed], "properties": properties })
    };
    let is_git = json!({ "required": ["type"], "properties": { "type": { "const": "git" } } });
    schema.insert("if".to_owned(), is_git);
    schema.insert("then".to_owned(), taken("repository", &["zip_url"]));
    schema.insert("else".to_owned(), taken("zip_url", &["repository", "branch", "commit"]));
}

/// At least one field is there and isn't null.
pub fn something(schema: &mut Schema) {
    let fields = schema.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys);
    let nothing = absent(fields.map(String::as_str));
    schema.insert("minProperties".to_owned(), json!(1));
    schema.insert("not".to_owned(), nothing);
}

/// Nothing is said of these parts, or at least one is true.
pub fn some_true(names: &'static [&'static str]) -> impl Fn(&mut Schema) {
    move |schema| {
        let none: Map<_, _> = names.iter().map(|&name| (name.to_owned(), json!({ "enum": [false, null] }))).collect();
        let named = |&name: &&str| json!({ "required": [name], "properties": { name: { "const": false } } });
        let named: Vec<_> = names.iter().map(named).collect();
        schema.insert("not".to_owned(), json!({ "properties": none, "anyOf": named }));
    }
}
