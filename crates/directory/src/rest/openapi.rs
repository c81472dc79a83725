//! The description of this door, OpenAPI 3.1: gathered from the handlers that the router is built
//! from, so that neither has a path that the other lacks. What all operations have in common (the
//! problem documents, the request's id) is added here once.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use convite_core::ErrorCode;
use convite_wire::status::ProblemDocument;
use utoipa::ToSchema;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::info::{Info, InfoBuilder, LicenseBuilder};
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{AllOfBuilder, Components, ComponentsBuilder, ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::{Tag, TagBuilder};
use utoipa::openapi::{
    ContentBuilder, OpenApi, OpenApiBuilder, PathItem, Ref, RefOr, Response, ServerBuilder,
};

/// The name of the security scheme, for `#[utoipa::path(security(…))]`.
const SESSION: &str = "session";
const REQUEST_ID: &str = "RequestId";
const ABOUT: &str = "Accounts, peers, index, search and locate of a Convite directory. Contents \
    come from the peers, with the tickets that `GET /files/{hash}` gives out; or from there through \
    the directory, for those who cannot ask peers, with `GET /files/{hash}/content`.\n\n\
    A failure is an RFC 9457 problem document; its `code` is stable. A list comes in pages: hand \
    `next_cursor` back as `cursor` until there is none; cursors are opaque. Each answer has an \
    `x-request-id`: the caller's own, if it is 1 to 64 letters, digits, `.`, `_`, `:` or `-`.";

/// What any operation may answer besides its own.
const ALWAYS: [ErrorCode; 6] = [
    ErrorCode::CrossSite,
    ErrorCode::Internal,
    ErrorCode::Overloaded,
    ErrorCode::TooManyRequests,
    ErrorCode::Unavailable,
    ErrorCode::WrongHost,
];
/// What an operation may answer that wants a session.
const OF_CALLERS: [ErrorCode; 2] = [ErrorCode::Unauthenticated, ErrorCode::SessionExpired];

/// Declares a type that stands for the problems of one operation in `responses(…)`: those named,
/// those of any, and with `caller` those of any that wants a session.
macro_rules! problems {
    ($name:ident, caller $(, $code:ident)*) => {
        $crate::rest::openapi::problems!(@ $name, true $(, $code)*);
    };
    ($name:ident, anybody $(, $code:ident)*) => {
        $crate::rest::openapi::problems!(@ $name, false $(, $code)*);
    };
    (@ $name:ident, $wants_session:literal $(, $code:ident)*) => {
        struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<
                String,
                utoipa::openapi::RefOr<utoipa::openapi::Response>,
            > {
                let own = [$(convite_core::ErrorCode::$code),*];
                $crate::rest::openapi::problem_responses(&own, $wants_session)
            }
        }
    };
}
pub(super) use problems;

/// One response for each status that these codes have.
pub(super) fn problem_responses(
    own: &[ErrorCode],
    wants_session: bool,
) -> BTreeMap<String, RefOr<Response>> {
    let of_callers: &[ErrorCode] = if wants_session { &OF_CALLERS } else { &[] };
    let mut by_status: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for code in own.iter().chain(of_callers).chain(&ALWAYS) {
        let codes = by_status.entry(code.http_status()).or_default();
        if !codes.contains(code) {
            codes.push(*code);
        }
    }
    by_status
        .into_iter()
        .map(|(status, codes)| (status.to_string(), problem_response(&codes).into()))
        .collect()
}

fn problem_response(codes: &[ErrorCode]) -> Response {
    let says = codes
        .iter()
        .map(|code| format!("`{code}`: {}", code.meaning()));
    let code = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(codes.iter().map(|code| code.name())));
    let document = AllOfBuilder::new()
        .item(Ref::from_schema_name(ProblemDocument::name()))
        .item(ObjectBuilder::new().property("code", code));
    let content = ContentBuilder::new().schema(Some(document)).build();
    ResponseBuilder::new()
        .description(says.collect::<Vec<_>>().join("\n"))
        .content("application/problem+json", content)
        .build()
}

/// The description without its paths.
pub(super) fn empty() -> OpenApi {
    OpenApiBuilder::new()
        .info(info())
        .servers(Some([ServerBuilder::new().url("/").build()]))
        .tags(Some(tags()))
        .components(Some(components()))
        .build()
}

fn info() -> Info {
    let license = LicenseBuilder::new()
        .name("MIT OR Apache-2.0")
        .identifier(Some("MIT OR Apache-2.0"));
    InfoBuilder::new()
        .title("Convite directory")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license.build()))
        .build()
}

fn tags() -> [Tag; 7] {
    [
        ("sessions", "Logging in and out"),
        ("accounts", "Accounts and the invites that make them"),
        (
            "administration",
            "Users, spaces and the audit log, for administrators",
        ),
        ("peers", "Who is online"),
        ("index", "What each peer shares"),
        ("files", "Finding files, and who has them"),
        (
            "about",
            "The directory itself: health, and this description",
        ),
    ]
    .map(|(name, about)| {
        TagBuilder::new()
            .name(name)
            .description(Some(about))
            .build()
    })
}

fn components() -> Components {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The token that `POST /login` returns."))
        .build();
    let id = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[A-Za-z0-9._:-]{1,64}$"));
    let id = HeaderBuilder::new()
        .schema(Some(id))
        .description(Some("Names this request in the directory's log."));
    ComponentsBuilder::new()
        .schema_from::<ProblemDocument>()
        .security_scheme(SESSION, SecurityScheme::Http(bearer))
        .header(REQUEST_ID, id.build())
        .build()
}

/// Adds what is true of every operation.
pub(super) fn finish(mut description: OpenApi) -> OpenApi {
    for (path, item) in &mut description.paths.paths {
        for (method, operation) in operations(item) {
            // The same handler, under an id of its own.
            if (path.as_str(), method) == ("/index", "post") {
                operation.operation_id = Some("publishIndexByPost".to_owned());
            }
            // No body is one without fields, where none is required.
            let takes_none = ["/invites", "/users/{user}"].contains(&path.as_str())
                || path.ends_with("/link")
                || path.ends_with("/heartbeat");
            if takes_none && let Some(RefOr::T(body)) = &mut operation.request_body {
                body.required = Some(utoipa::openapi::Required::False);
            }
            for response in operation.responses.responses.values_mut() {
                if let RefOr::T(response) = response {
                    let id = Ref::new(format!("#/components/headers/{REQUEST_ID}"));
                    response
                        .headers
                        .insert("x-request-id".to_owned(), RefOr::Ref(id));
                }
            }
        }
    }
    description
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("get", &mut item.get),
        ("put", &mut item.put),
        ("post", &mut item.post),
        ("delete", &mut item.delete),
        ("patch", &mut item.patch),
        ("head", &mut item.head),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// The whole description as JSON, with a line break at its end.
pub fn openapi_json() -> String {
    let description = super::described().into_openapi();
    // Maps with text as keys cannot fail to be JSON.
    let mut json = finish(description).to_pretty_json().unwrap_or_default();
    json.push('\n');
    json
}

/// `/openapi.json`.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "describe", tag = "about",
    responses((status = 200, description = "This description", body = Object)),
)]
pub(super) async fn describe() -> impl IntoResponse {
    static JSON: LazyLock<String> = LazyLock::new(openapi_json);
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], JSON.as_str())
}
