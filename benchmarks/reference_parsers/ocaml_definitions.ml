(* Definitions of OCaml files as the compiler's parser sees them: a line of JSON for each.
   Run by `ocaml -I +compiler-libs ocamlcommon.cma`; file names come on standard input, one a line. Files that are no
   OCaml of the compiler's version are named with the kind `unread`. *)
open Parsetree

let print path local kind name (loc : Location.t) =
  Printf.printf "{\"path\": %S, \"name\": \"%s\", \"kind\": %S, \"line\": %d, \"local\": %b}\n" path
    (String.escaped name) kind loc.loc_start.pos_lnum local

let rec is_function expression =
  match expression.pexp_desc with
  | Pexp_fun _ | Pexp_function _ -> true
  | Pexp_newtype (_, inner) | Pexp_constraint (inner, _) | Pexp_poly (inner, _) -> is_function inner
  | _ -> false

let rec bound pattern =
  match pattern.ppat_desc with
  | Ppat_var name -> Some (name.txt, name.loc, false)
  | Ppat_constraint (inner, _) -> bound inner
  | Ppat_constant (Pconst_string (text, _, _)) -> Some (text, pattern.ppat_loc, true)
  | _ -> None

let iterator path =
  let local = ref false in
  let say kind name loc = print path !local kind name loc in
  let within iterate item = let before = !local in local := true; iterate item; local := before in
  let default = Ast_iterator.default_iterator in
  { default with
    value_binding = (fun self binding ->
      (match bound binding.pvb_pat with
       | Some (name, loc, true) -> say "test" name loc
       | Some (name, loc, false) -> say (if is_function binding.pvb_expr then "function" else "value") name loc
       | None -> ());
      within (default.value_binding self) binding);
    expr = (fun self item -> within (default.expr self) item);
    class_expr = (fun self item -> default.class_expr self item);
    value_description = (fun self item ->
      say (if item.pval_prim = [] then "val" else "external") item.pval_name.txt item.pval_name.loc;
      default.value_description self item);
    module_binding = (fun self item ->
      Option.iter (fun name -> say "module" name item.pmb_name.loc) item.pmb_name.txt;
      default.module_binding self item);
    module_declaration = (fun self item ->
      Option.iter (fun name -> say "module_declaration" name item.pmd_name.loc) item.pmd_name.txt;
      default.module_declaration self item);
    module_type_declaration = (fun self item ->
      say "module_type" item.pmtd_name.txt item.pmtd_name.loc;
      default.module_type_declaration self item);
    with_constraint = (fun _ _ -> ());
    type_declaration = (fun self item ->
      say "type" item.ptype_name.txt item.ptype_name.loc;
      default.type_declaration self item);
    type_extension = (fun self item ->
      say "type_extension" (Longident.last item.ptyext_path.txt) item.ptyext_path.loc;
      default.type_extension self item);
    extension_constructor = (fun self item -> default.extension_constructor self item);
    type_exception = (fun self item ->
      say "exception" item.ptyexn_constructor.pext_name.txt item.ptyexn_constructor.pext_name.loc;
      default.type_exception self item);
    class_declaration = (fun self item ->
      say "class" item.pci_name.txt item.pci_name.loc;
      default.class_declaration self item);
    class_type_declaration = (fun self item ->
      say "class_type" item.pci_name.txt item.pci_name.loc;
      default.class_type_declaration self item);
    class_field = (fun self item ->
      (match item.pcf_desc with
       | Pcf_method (name, _, _) -> say "method" name.txt name.loc
       | _ -> ());
      default.class_field self item) }

let read path =
  let channel = open_in_bin path in
  let buffer = Lexing.from_channel channel in
  Lexing.set_filename buffer path;
  (try
     let structure = Parse.implementation buffer in
     let iterator = iterator path in
     iterator.structure iterator structure
   with _ -> print path false "unread" path Location.none);
  close_in channel

let () = try while true do read (input_line stdin) done with End_of_file -> ()
