//! Collects the routes of the REST API with their operations.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::MatchedPath;
use axum::http::{Extensions, Method};
use axum::routing::MethodRouter;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::SecurityRequirement;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::openapi;
use crate::Service;
use crate::operations::Operation;

/// The routes with their description and their operations.
pub(super) struct Routes {
    router: OpenApiRouter<Arc<Service>>,
    operations: RouteOperations,
}

/// The operation of each route, by method and path template.
#[derive(Default)]
pub(crate) struct RouteOperations(HashMap<(Method, String), Operation>);

impl RouteOperations {
    /// Returns the operation of a request that the router has matched; `None` for an unknown path
    /// or method.
    pub(crate) fn find(&self, method: &Method, extensions: &Extensions) -> Option<Operation> {
        self.get(method, extensions.get::<MatchedPath>()?.as_str())
    }

    /// Returns the operation of a method and a path template.
    pub(crate) fn get(&self, method: &Method, path: &str) -> Option<Operation> {
        // HEAD is served by the handler of GET.
        let method = match *method {
            Method::HEAD => Method::GET,
            ref method => method.clone(),
        };
        self.0.get(&(method, path.to_owned())).copied()
    }

    /// Returns the routes of an operation, as `GET /search`, in alphabetical order.
    pub(super) fn of(&self, operation: Operation) -> Vec<String> {
        let own = self.0.iter().filter(|(_, known)| **known == operation);
        let mut routes: Vec<String> = own
            .map(|((method, path), _)| format!("{method} {path}"))
            .collect();
        routes.sort();
        routes
    }
}

impl Routes {
    pub(super) fn new() -> Self {
        Self {
            router: OpenApiRouter::with_openapi(openapi::empty()),
            operations: RouteOperations::default(),
        }
    }

    /// Adds the handler of an operation, as `routes!(handler)` returns it.
    pub(super) fn add(
        mut self,
        operation: Operation,
        (schemas, mut paths, handler): UtoipaMethodRouter<Arc<Service>>,
    ) -> Self {
        for (path, item) in &mut paths.paths {
            for (method, description) in openapi::operations(item) {
                if operation.access().requires_session() {
                    let session = SecurityRequirement::new(openapi::SESSION, Vec::<String>::new());
                    description.security = Some(vec![session]);
                }
                self.operations.insert(method, path, operation);
            }
        }
        self.router = self.router.routes((schemas, paths, handler));
        self
    }

    /// Adds a route that is not described.
    pub(super) fn add_undescribed(
        mut self,
        operation: Operation,
        path: &str,
        get: MethodRouter<Arc<Service>>,
    ) -> Self {
        self.router = self.router.route(path, get);
        self.operations.insert("get", path, operation);
        self
    }

    pub(super) fn split(self) -> (Router<Arc<Service>>, OpenApi, RouteOperations) {
        let (router, description) = self.router.split_for_parts();
        (router, description, self.operations)
    }
}

impl RouteOperations {
    fn insert(&mut self, method: &str, path: &str, operation: Operation) {
        // The names of methods from `openapi::operations` are valid.
        if let Ok(method) = method.to_uppercase().parse() {
            self.0.insert((method, path.to_owned()), operation);
        }
    }
}
