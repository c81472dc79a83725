//! The pages of lists.

/// Defines the response of an operation that returns one page of a list.
macro_rules! page {
    ($($(#[$doc:meta])* $page:ident: $(#[$item_doc:meta])* $items:ident, $item:ty;)*) => {
        $(
            $(#[$doc])*
            #[derive(serde::Serialize, utoipa::ToSchema)]
            pub(super) struct $page {
                $(#[$item_doc])*
                $items: Vec<$item>,
                /// Cursor of the next page; absent on the last.
                #[serde(skip_serializing_if = "Option::is_none")]
                next_cursor: Option<String>,
            }

            impl From<convite_core::model::Page<$item>> for $page {
                fn from(page: convite_core::model::Page<$item>) -> Self {
                    Self {
                        $items: page.items,
                        next_cursor: page.next_cursor,
                    }
                }
            }
        )*
    };
}
pub(super) use page;
