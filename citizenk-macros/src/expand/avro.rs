//! The Avro side of `#[message(avro)]`.
//!
//! In: the type, and what its attributes say. Out: an implementation of `AvroType`, beside serde's derives,
//! which stay what JSON is. The type itself goes on without its `#[avro(..)]` attributes.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Field, Fields, Ident, Type, Variant};

use crate::attr::avro::{AvroOptions, Case, FieldDefault, Level, Said, avro_name};
use crate::paths::Paths;
use crate::report::Report;

/// The type without what only this attribute understands, and its implementation.
pub(crate) fn expand(
    item: TokenStream,
    options: &AvroOptions,
    paths: &Paths,
    report: &mut Report,
) -> (TokenStream, TokenStream) {
    let mut input: DeriveInput = match syn::parse2(item.clone()) {
        Ok(input) => input,
        // serde's derives say what is wrong with it.
        Err(_) => return (item, TokenStream::new()),
    };
    if let Some(parameter) = input.generics.params.first() {
        report.on_with_help(
            parameter,
            format!("Avro message `{}` cannot be generic", input.ident),
            "a schema has a name, and each set of parameters would need one of its own",
        );
    }
    let body = body(&input, options, report);
    strip(&mut input);
    let implementation = body.map(|body| wrap(&input, &body, paths));
    (
        input.into_token_stream(),
        implementation.unwrap_or_default(),
    )
}

fn strip(input: &mut DeriveInput) {
    let clean = |attrs: &mut Vec<Attribute>| attrs.retain(|attr| !attr.path().is_ident("avro"));
    clean(&mut input.attrs);
    let clean_fields =
        |fields: &mut Fields| fields.iter_mut().for_each(|field| clean(&mut field.attrs));
    match &mut input.data {
        Data::Struct(data) => clean_fields(&mut data.fields),
        Data::Enum(data) => {
            for variant in &mut data.variants {
                clean(&mut variant.attrs);
                clean_fields(&mut variant.fields);
            }
        }
        Data::Union(_) => {}
    }
}

/// The three functions of the implementation, and what they name.
struct Body {
    /// One [`part`] per field that is written.
    parts: TokenStream,
    schema: TokenStream,
    encode: TokenStream,
    decode: TokenStream,
}

fn wrap(input: &DeriveInput, body: &Body, paths: &Paths) -> TokenStream {
    let ident = &input.ident;
    let import = paths.import();
    let span = ident.span().resolved_at(Span::call_site());
    let cfgs = input
        .attrs
        .iter()
        .filter(|attr| attr.path().is_ident("cfg"));
    let Body {
        parts,
        schema,
        encode,
        decode,
    } = body;
    quote_spanned! {span=>
        #(#cfgs)*
        const _: () = {
            #import
            use __citizenk::{avro as __avro, serde as __serde};
            type __Message = #ident;
            #parts
            #[automatically_derived]
            #[allow(clippy::all, clippy::pedantic, clippy::nursery)]
            impl __avro::AvroType for #ident {
                fn schema(__builder: &mut __avro::SchemaBuilder) -> __citizenk::Value {
                    #schema
                }
                fn encode<__S: __serde::Serializer>(
                    &self,
                    __serializer: __S,
                ) -> ::core::result::Result<__S::Ok, __S::Error> {
                    #encode
                }
                fn decode<'de, __D: __serde::Deserializer<'de>>(
                    __deserializer: __D,
                ) -> ::core::result::Result<Self, __D::Error> {
                    #decode
                }
            }
        };
    }
}

fn body(input: &DeriveInput, options: &AvroOptions, report: &mut Report) -> Option<Body> {
    let said = Said::of(&input.attrs, Level::Type, report);
    for case in [said.rename_all, said.rename_all_fields]
        .into_iter()
        .flatten()
    {
        case.check(report);
    }
    let ident = &input.ident;
    let name = match (&options.name, &said.rename) {
        (Some(name), _) => name.value(),
        (None, Some(name)) => name.value(),
        (None, None) => ident.unraw().to_string(),
    };
    let type_name = type_name(&name, options, &said.doc);
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                Some(newtype(&fields.unnamed[0], report))
            }
            Fields::Unnamed(fields) => {
                report.on_with_help(
                    fields,
                    format!("the fields of Avro message `{ident}` need names"),
                    "a record has no other fields; or hold one value only",
                );
                None
            }
            fields => {
                let record = Record::new(fields, "__Field", said.rename_all, report);
                Some(record.body(&type_name, said.default.as_ref()))
            }
        },
        Data::Enum(data) if data.variants.is_empty() => {
            report.on(ident, format!("Avro message `{ident}` has no values"));
            None
        }
        Data::Enum(data) => {
            let variants: Vec<&Variant> = data.variants.iter().collect();
            if variants
                .iter()
                .all(|variant| matches!(variant.fields, Fields::Unit))
            {
                Some(symbols(&variants, &said, &type_name, report))
            } else {
                union(ident, &variants, &said, options, report)
            }
        }
        Data::Union(_) => None,
    }
}

fn type_name(name: &str, options: &AvroOptions, doc: &str) -> TokenStream {
    let namespace = match &options.namespace {
        Some(namespace) => quote!(::core::option::Option::Some(#namespace)),
        None => quote!(::core::option::Option::None),
    };
    let aliases = &options.aliases;
    quote! {
        __avro::TypeName { name: #name, namespace: #namespace, doc: #doc, aliases: &[#(#aliases),*] }
    }
}

/// How a field is written: its own way, which is asked for where its type stands, or the one it names.
fn way(said: &Said, ty: &Type) -> TokenStream {
    match &said.with {
        Some(with) => quote!(#with),
        None => own_way(ty),
    }
}

fn own_way(ty: &Type) -> TokenStream {
    quote_spanned!(at(ty)=> __avro::Own)
}

/// Calls that need the field's type to have an Avro form stand where the type stands.
fn at(ty: &Type) -> Span {
    ty.span().resolved_at(Span::call_site())
}

fn newtype(field: &Field, report: &mut Report) -> Body {
    let said = Said::of(&field.attrs, Level::Field, report);
    let name = format_ident!("__Value");
    Body {
        parts: part(&name, &field.ty, &way(&said, &field.ty)),
        schema: quote!(__avro::schema::<#name>(__builder)),
        encode: quote!(__serde::Serialize::serialize(&__avro::Written::<#name>::new(&self.0), __serializer)),
        decode: quote! {
            __serde::de::DeserializeSeed::deserialize(__avro::Read::<#name>::NEW, __deserializer).map(Self)
        },
    }
}

/// A type that stands for a field's type and way together. That the type has an Avro form is asked for here and
/// nowhere else, so that a type that has none is one error, on its own tokens.
fn part(name: &Ident, ty: &Type, way: &TokenStream) -> TokenStream {
    quote_spanned! {at(ty)=>
        enum #name {}
        impl __avro::Part for #name {
            type Value = #ty;
            type Way = #way;
        }
    }
}

struct RecordField<'a> {
    ident: &'a Ident,
    /// What stands for it in the generated code.
    part: Ident,
    ty: &'a Type,
    name: String,
    said: Said,
    aliases: Vec<String>,
}

/// Named fields, of a struct or a variant.
struct Record<'a> {
    fields: Vec<RecordField<'a>>,
}

impl<'a> Record<'a> {
    /// `prefix` begins the names of its [`part`]s.
    fn new(fields: &'a Fields, prefix: &str, case: Option<Case>, report: &mut Report) -> Self {
        let mut all: Vec<RecordField<'a>> = Vec::new();
        for field in fields {
            let Some(ident) = &field.ident else { continue };
            let said = Said::of(&field.attrs, Level::Field, report);
            let made = |name: &str| case.map_or_else(|| name.to_owned(), |case| case.field(name));
            let name = avro_name(ident, &said, made, report);
            if !said.skip
                && all
                    .iter()
                    .any(|other| !other.said.skip && other.name == name)
            {
                report.at(ident.span(), format!("two fields are called `{name}`"));
            }
            let aliases = said.aliases.iter().map(syn::LitStr::value).collect();
            all.push(RecordField {
                ident,
                part: format_ident!("{prefix}{}", all.len()),
                ty: &field.ty,
                name,
                said,
                aliases,
            });
        }
        Self { fields: all }
    }

    fn written(&self) -> impl Iterator<Item = &RecordField<'a>> {
        self.fields.iter().filter(|field| !field.said.skip)
    }

    fn parts(&self) -> TokenStream {
        let parts = self.written();
        parts
            .map(|field| part(&field.part, field.ty, &way(&field.said, field.ty)))
            .collect()
    }

    fn schema(&self, type_name: &TokenStream, whole: Option<&FieldDefault>) -> TokenStream {
        let fields = self.written().map(|field| {
            let (ty, part, name, doc) = (field.ty, &field.part, &field.name, &field.said.doc);
            let aliases = &field.aliases;
            let default = default(field, whole);
            quote_spanned! {at(ty)=>
                __fields.field::<#part>(
                    __avro::FieldName { name: #name, doc: #doc, aliases: &[#(#aliases),*] },
                    #default,
                );
            }
        });
        quote! {
            __builder.record::<Self>(#type_name, |__fields| {
                let _ = &__fields;
                #(#fields)*
            })
        }
    }

    /// Writes the fields, which are bound to their names by reference.
    fn encode(&self, begin: &TokenStream, is_variant: bool) -> TokenStream {
        let how = if is_variant {
            quote!(__serde::ser::SerializeStructVariant)
        } else {
            quote!(__serde::ser::SerializeStruct)
        };
        let fields = self.written().enumerate().map(|(index, field)| {
            let (ident, ty, part) = (field.ident, field.ty, &field.part);
            let key = format!("f{index}");
            quote_spanned! {at(ty)=>
                #how::serialize_field(&mut __record, #key, &__avro::Written::<#part>::new(#ident))?;
            }
        });
        quote! {
            let mut __record = #begin?;
            #(#fields)*
            #how::end(__record)
        }
    }

    fn pattern(&self) -> TokenStream {
        let fields = self.fields.iter().map(|field| {
            let ident = field.ident;
            if field.said.skip {
                quote!(#ident: _)
            } else {
                quote!(#ident)
            }
        });
        quote!({ #(#fields),* })
    }

    /// A visitor of this name that makes `made { .. }`.
    fn visitor(
        &self,
        visitor: &Ident,
        made: &TokenStream,
        value: &TokenStream,
        whole: Option<&FieldDefault>,
    ) -> TokenStream {
        let slots: Vec<Ident> = (0..self.fields.len())
            .map(|index| format_ident!("__f{index}"))
            .collect();
        let declared = self
            .fields
            .iter()
            .zip(&slots)
            .filter(|(field, _)| !field.said.skip);
        let declared = declared.map(|(field, slot)| {
            let ty = field.ty;
            quote!(let mut #slot: ::core::option::Option<#ty> = ::core::option::Option::None;)
        });
        let written = self
            .fields
            .iter()
            .zip(&slots)
            .filter(|(field, _)| !field.said.skip);
        let arms = written.enumerate().map(|(index, (field, slot))| {
            let (ty, part, name) = (field.ty, &field.part, &field.name);
            quote_spanned! {at(ty)=>
                #index => #slot = __avro::read::<#part, __A>(&mut __map, #name)?,
            }
        });
        let built = self.fields.iter().zip(&slots).map(|(field, slot)| {
            let (ident, ty, part, name) = (field.ident, field.ty, &field.part, &field.name);
            if field.said.skip {
                let value = match (&field.said.default, whole) {
                    (Some(FieldDefault::Path(path)), _) => quote!(#path()),
                    _ => quote!(::core::default::Default::default()),
                };
                return quote!(#ident: #value);
            }
            let default = default(field, whole);
            quote_spanned!(at(ty)=> #ident: __avro::present::<#part, __A::Error>(#slot, #default, #name)?)
        });
        quote! {
            struct #visitor;
            impl<'de> __serde::de::Visitor<'de> for #visitor {
                type Value = #value;
                fn expecting(&self, __f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    __f.write_str("a record")
                }
                fn visit_map<__A: __serde::de::MapAccess<'de>>(
                    self,
                    mut __map: __A,
                ) -> ::core::result::Result<#value, __A::Error> {
                    #(#declared)*
                    while let ::core::option::Option::Some(__position) =
                        __serde::de::MapAccess::next_key_seed(&mut __map, __avro::Position)?
                    {
                        match __position {
                            #(#arms)*
                            _ => __avro::skip(&mut __map)?,
                        }
                    }
                    ::core::result::Result::Ok(#made { #(#built),* })
                }
            }
        }
    }

    fn body(&self, type_name: &TokenStream, whole: Option<&FieldDefault>) -> Body {
        let len = self.written().count();
        let begin = quote!(__serde::Serializer::serialize_struct(__serializer, "r", #len));
        let pattern = self.pattern();
        let encode = self.encode(&begin, false);
        let visitor = format_ident!("__Record");
        let made = quote!(__Message);
        let decode = self.visitor(&visitor, &made, &made, whole);
        Body {
            parts: self.parts(),
            schema: self.schema(type_name, whole),
            encode: quote! {
                let Self #pattern = self;
                #encode
            },
            decode: quote! {
                #decode
                __serde::Deserializer::deserialize_struct(__deserializer, "r", &[], #visitor)
            },
        }
    }
}

/// What stands for a field that is missing, as an `Option<fn() -> T>`.
fn default(field: &RecordField<'_>, whole: Option<&FieldDefault>) -> TokenStream {
    let ident = field.ident;
    let made = match (&field.said.default, whole) {
        (Some(FieldDefault::Type), _) => quote!(::core::default::Default::default()),
        (Some(FieldDefault::Path(path)), _) => quote!(#path()),
        (None, Some(FieldDefault::Type)) => {
            quote!(<__Message as ::core::default::Default>::default().#ident)
        }
        (None, Some(FieldDefault::Path(path))) => quote!({
            let __whole: __Message = #path();
            __whole.#ident
        }),
        (None, None) => return quote!(::core::option::Option::None),
    };
    quote!(::core::option::Option::Some(|| #made))
}

fn variant_name(variant: &Variant, said: &Said, all: Option<Case>, report: &mut Report) -> String {
    let made = |name: &str| all.map_or_else(|| name.to_owned(), |case| case.variant(name));
    avro_name(&variant.ident, said, made, report)
}

/// An enum of names only.
fn symbols(
    variants: &[&Variant],
    said: &Said,
    type_name: &TokenStream,
    report: &mut Report,
) -> Body {
    let mut names = Vec::new();
    let mut default = None;
    for variant in variants {
        let own = Said::of(&variant.attrs, Level::Variant, report);
        let name = variant_name(variant, &own, said.rename_all, report);
        if own.other {
            if default.is_some() {
                report.on(&variant.ident, "an enum has one default");
            }
            default = Some(name.clone());
        }
        names.push(name);
    }
    let default = match default {
        Some(name) => quote!(::core::option::Option::Some(#name)),
        None => quote!(::core::option::Option::None),
    };
    let idents: Vec<&Ident> = variants.iter().map(|variant| &variant.ident).collect();
    let numbers: Vec<u32> = (0..).take(variants.len()).collect();
    let positions: Vec<usize> = (0..variants.len()).collect();
    Body {
        parts: TokenStream::new(),
        schema: quote!(__builder.symbols::<Self>(#type_name, &[#(#names),*], #default)),
        encode: quote! {
            __serde::Serializer::serialize_u32(__serializer, match self {
                #(Self::#idents => #numbers,)*
            })
        },
        decode: quote! {
            match __serde::Deserializer::deserialize_any(__deserializer, __avro::Position)? {
                #(#positions => ::core::result::Result::Ok(Self::#idents),)*
                _ => ::core::result::Result::Err(__avro::unknown("the symbol")),
            }
        },
    }
}

/// An enum with data: a union of records, told apart by their names.
fn union(
    ident: &Ident,
    variants: &[&Variant],
    said: &Said,
    options: &AvroOptions,
    report: &mut Report,
) -> Option<Body> {
    let (mut parts, mut schemas) = (vec![], vec![]);
    let (mut writes, mut visitors, mut reads) = (vec![], vec![], vec![]);
    for (index, variant) in variants.iter().enumerate() {
        let own = Said::of(&variant.attrs, Level::Variant, report);
        let name = variant_name(variant, &own, said.rename_all, report);
        let case = own.rename_all.or(said.rename_all_fields);
        let (variant_ident, branch) = (&variant.ident, format!("b{index}"));
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        match &variant.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                let field = &fields.unnamed[0];
                if let Some(with) = Said::of(&field.attrs, Level::Field, report).with {
                    report.on(with, "the message of a variant is written its own way");
                }
                let ty = &field.ty;
                let part_ident = format_ident!("__Variant{index}Value");
                parts.push(part(&part_ident, ty, &own_way(ty)));
                schemas.push(quote_spanned!(at(ty)=> __builder.branch::<#part_ident>(#name)));
                writes.push(quote_spanned! {at(ty)=>
                    Self::#variant_ident(__value) => __serde::Serializer::serialize_newtype_variant(
                        __serializer, "r", #number, #branch, &__avro::Written::<#part_ident>::new(__value),
                    ),
                });
                reads.push(quote_spanned! {at(ty)=>
                    #index => __serde::de::VariantAccess::newtype_variant_seed(
                        __variant, __avro::Read::<#part_ident>::NEW,
                    ).map(__Message::#variant_ident),
                });
            }
            Fields::Unnamed(fields) => {
                report.on_with_help(
                    fields,
                    format!("variant `{variant_ident}` of Avro message `{ident}` has several values without names"),
                    "a record has no other fields: name them, or hold one message",
                );
                return None;
            }
            fields => {
                let prefix = format!("__Variant{index}Field");
                let record = Record::new(fields, &prefix, case, report);
                parts.push(record.parts());
                let own_options = AvroOptions {
                    namespace: options.namespace.clone(),
                    ..AvroOptions::default()
                };
                schemas.push(record.schema(&type_name(&name, &own_options, &own.doc), None));
                let len = record.written().count();
                let begin = quote!(__serde::Serializer::serialize_struct_variant(
                    __serializer, "r", #number, #branch, #len
                ));
                let encode = record.encode(&begin, true);
                let pattern = record.pattern();
                writes.push(quote!(Self::#variant_ident #pattern => { #encode }));
                let visitor = format_ident!("__Variant{index}");
                visitors.push(record.visitor(
                    &visitor,
                    &quote!(__Message::#variant_ident),
                    &quote!(__Message),
                    None,
                ));
                reads.push(quote! {
                    #index => __serde::de::VariantAccess::struct_variant(__variant, &[], #visitor),
                });
            }
        }
    }
    Some(Body {
        parts: quote!(#(#parts)*),
        schema: quote! {{
            let __branches = ::std::vec![#(#schemas),*];
            __citizenk::Value::Array(__branches)
        }},
        encode: quote!(match self { #(#writes)* }),
        decode: quote! {
            #(#visitors)*
            struct __Union;
            impl<'de> __serde::de::Visitor<'de> for __Union {
                type Value = __Message;
                fn expecting(&self, __f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    __f.write_str("one of several records")
                }
                fn visit_enum<__A: __serde::de::EnumAccess<'de>>(
                    self,
                    __access: __A,
                ) -> ::core::result::Result<__Message, __A::Error> {
                    let (__position, __variant) =
                        __serde::de::EnumAccess::variant_seed(__access, __avro::Branch)?;
                    match __position {
                        #(#reads)*
                        _ => ::core::result::Result::Err(__avro::unknown("the variant")),
                    }
                }
            }
            __serde::Deserializer::deserialize_enum(__deserializer, "r", &[], __Union)
        },
    })
}
