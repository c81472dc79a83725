//! The OpenAPI 3.1 description of the REST API, collected from the same handlers as the router, so
//! that both have the same paths. The parts common to all operations (problem documents, request
//! id) are added here.

use std::collections::BTreeMap;

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

/// The name of the security scheme.
pub(super) const SESSION: &str = "session";
const REQUEST_ID: &str = "RequestId";
const ABOUT: &str = "Accounts, peers, index, search and lookup of a Convite directory. File contents \
    are served by the peers, with the tickets that `GET /files/{hash}` returns; clients that cannot \
    connect to peers can get them through the directory, with `GET /files/{hash}/content`.\n\n\
    An error is an RFC 9457 problem document with a stable `code`. Lists are paginated: send \
    `next_cursor` as `cursor` until it is absent; cursors are opaque. Each response has an \
    `x-request-id`: the client's own, if it is 1 to 64 letters, digits, `.`, `_`, `:` or `-`.";

/// Error codes that every operation can return.
const COMMON_ERRORS: [ErrorCode; 7] = [
    ErrorCode::CrossSite,
    ErrorCode::Internal,
    ErrorCode::NoSpace,
    ErrorCode::Overloaded,
    ErrorCode::TooManyRequests,
    ErrorCode::Unavailable,
    ErrorCode::WrongHost,
];
/// Error codes of operations that require a session.
const SESSION_ERRORS: [ErrorCode; 2] = [ErrorCode::Unauthenticated, ErrorCode::SessionExpired];

/// Declares a type for the error responses of one operation in `responses(…)`: the given codes,
/// those of every operation, and with `caller` those of operations that require a session.
macro_rules! problems {
    ($name:ident, caller $(, $code:ident)*) => {
        $crate::rest::openapi::problems!(@ $name, true $(, $code)*);
    };
    ($name:ident, public $(, $code:ident)*) => {
        $crate::rest::openapi::problems!(@ $name, false $(, $code)*);
    };
    (@ $name:ident, $requires_session:literal $(, $code:ident)*) => {
        struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<
                String,
                utoipa::openapi::RefOr<utoipa::openapi::Response>,
            > {
                let own = [$(convite_core::ErrorCode::$code),*];
                $crate::rest::openapi::problem_responses(&own, $requires_session)
            }
        }
    };
}
pub(super) use problems;

/// Returns one response per HTTP status of these codes.
pub(super) fn problem_responses(
    own: &[ErrorCode],
    requires_session: bool,
) -> BTreeMap<String, RefOr<Response>> {
    let session_errors: &[ErrorCode] = if requires_session {
        &SESSION_ERRORS
    } else {
        &[]
    };
    let mut by_status: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for code in own.iter().chain(session_errors).chain(&COMMON_ERRORS) {
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
    let meanings = codes
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
        .description(meanings.collect::<Vec<_>>().join("\n"))
        .content("application/problem+json", content)
        .build()
}

/// Returns the description without paths.
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
        ("accounts", "Accounts and invites"),
        (
            "administration",
            "Users, spaces and the audit log, for administrators",
        ),
        ("peers", "Online peers"),
        ("index", "The shared files of each peer"),
        ("files", "Searching for files and their providers"),
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
        .description(Some("Identifies this request in the directory's log."));
    ComponentsBuilder::new()
        .schema_from::<ProblemDocument>()
        .security_scheme(SESSION, SecurityScheme::Http(bearer))
        .header(REQUEST_ID, id.build())
        .build()
}

/// Adds the parts common to all operations.
pub(super) fn add_common_parts(mut description: OpenApi) -> OpenApi {
    for (path, item) in &mut description.paths.paths {
        for (method, operation) in operations(item) {
            // The same handler, under another operation id.
            if (path.as_str(), method) == ("/index", "post") {
                operation.operation_id = Some("publishIndexByPost".to_owned());
            }
            // The body is optional where it has no required fields.
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

pub(super) fn operations(
    item: &mut PathItem,
) -> impl Iterator<Item = (&'static str, &mut Operation)> {
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
