//! Refuses unknown query parameters: a misspelled filter must not return everything. The known
//! parameters are taken from the OpenAPI description, so that both always agree.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use convite_core::{Problem, display};
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::{OpenApi, RefOr, Schema};

use super::openapi;
use crate::answer::ProblemResponse;

/// Pages for people: chat and mail programs append their own parameters to shared addresses
/// (`fbclid`, `utm_source`).
const PAGES: [&str; 2] = ["/", "/d/{token}"];

/// The description of one parameter.
struct Parameter {
    /// Whether it may be given several times.
    repeats: bool,
    /// Whether an empty value is valid: true for a string or a list of strings.
    may_be_empty: bool,
}

/// The parameters of an operation by name.
type Parameters = BTreeMap<String, Parameter>;

/// The parameters of all operations, by method and path.
pub(super) struct KnownParameters(HashMap<(String, String), Parameters>);

impl KnownParameters {
    /// Collects the query parameters of a description.
    pub(super) fn of(mut description: OpenApi) -> Self {
        let mut known = HashMap::new();
        for (path, item) in &mut description.paths.paths {
            for (method, operation) in openapi::operations(item) {
                let parameters = operation.parameters.iter().flatten();
                let parameters = parameters.filter_map(|parameter| match parameter {
                    RefOr::T(parameter) => Some(parameter),
                    RefOr::Ref(_) => None,
                });
                let of_query = parameters.filter(|one| one.parameter_in == ParameterIn::Query);
                let named =
                    of_query.map(|one| (one.name.clone(), Parameter::of(one.schema.as_ref())));
                known.insert((method.to_uppercase(), path.clone()), named.collect());
            }
        }
        Self(known)
    }
}

impl Parameter {
    fn of(schema: Option<&RefOr<Schema>>) -> Self {
        let kind = match schema {
            Some(RefOr::T(Schema::Array(array))) => Some(&array.schema_type),
            Some(RefOr::T(Schema::Object(object))) => Some(&object.schema_type),
            _ => None,
        };
        let is = |wanted: Type| match kind {
            Some(SchemaType::Type(kind)) => *kind == wanted,
            Some(SchemaType::Array(kinds)) => kinds.contains(&wanted),
            _ => false,
        };
        Self {
            repeats: is(Type::Array),
            may_be_empty: ![Type::Integer, Type::Number, Type::Boolean]
                .into_iter()
                .any(is),
        }
    }
}

/// Refuses a request with an unknown parameter, a repeated one, or an empty value for a number or
/// flag.
pub(super) async fn check(
    State(known): State<Arc<KnownParameters>>,
    request: Request,
    next: Next,
) -> Response {
    match check_query(&known, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => ProblemResponse(problem).into_response(),
    }
}

fn check_query(known: &KnownParameters, request: &Request) -> Result<(), Problem> {
    let Some(query) = request.uri().query().filter(|query| !query.is_empty()) else {
        return Ok(());
    };
    let path = request.extensions().get::<MatchedPath>();
    let path = path.map_or("", MatchedPath::as_str);
    // HEAD has the parameters of GET.
    let method = match *request.method() {
        Method::HEAD => &Method::GET,
        ref method => method,
    };
    let known = known.0.get(&(method.as_str().to_owned(), path.to_owned()));
    let Some(known) = known.filter(|_| !PAGES.contains(&path)) else {
        return Ok(());
    };
    let mut given = BTreeSet::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let Some(parameter) = known.get(name.as_ref()) else {
            return Err(unknown(&name, known));
        };
        if value.is_empty() && !parameter.may_be_empty {
            return Err(
                Problem::invalid(format!("the parameter `{name}` has no value"))
                    .hint("give it a value, or omit it"),
            );
        }
        if !given.insert(name.clone()) && !parameter.repeats {
            return Err(
                Problem::invalid(format!("the parameter `{name}` is given twice"))
                    .hint("give each parameter once"),
            );
        }
    }
    Ok(())
}

fn unknown(name: &str, known: &Parameters) -> Problem {
    let shown: String = display::escape(name).chars().take(100).collect();
    let problem = Problem::invalid(format!("unknown parameter `{shown}`"));
    let names: Vec<String> = known.keys().map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        problem.hint("this path has no parameters")
    } else {
        problem.hint(format!("known parameters: {}", names.join(", ")))
    }
}
