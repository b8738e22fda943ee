import com.sun.source.tree.ClassTree;
import com.sun.source.tree.CompilationUnitTree;
import com.sun.source.tree.LambdaExpressionTree;
import com.sun.source.tree.MethodTree;
import com.sun.source.tree.Tree;
import com.sun.source.util.JavacTask;
import com.sun.source.util.TreeScanner;
import com.sun.source.util.Trees;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;

/**
 * Definitions of Java files as the compiler's parser sees them: a line of JSON for each.
 * File names come on standard input, one a line; run by `java JavaDefinitions.java`.
 */
public class JavaDefinitions {
    private static final Map<Tree.Kind, String> TYPES = Map.of(
            Tree.Kind.CLASS, "class", Tree.Kind.INTERFACE, "interface", Tree.Kind.ENUM, "enum",
            Tree.Kind.RECORD, "record", Tree.Kind.ANNOTATION_TYPE, "annotation");

    public static void main(String[] arguments) throws IOException {
        List<String> paths = new String(System.in.readAllBytes(), StandardCharsets.UTF_8).lines().toList();
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        StandardJavaFileManager files = compiler.getStandardFileManager(null, null, StandardCharsets.UTF_8);
        StringBuilder found = new StringBuilder();
        for (String path : paths) {
            JavacTask task = (JavacTask) compiler.getTask(
                    null, files, fault -> { }, List.of("-proc:none"), null, files.getJavaFileObjects(new File(path)));
            String text = new String(Files.readAllBytes(Path.of(path)), StandardCharsets.UTF_8);
            for (CompilationUnitTree unit : task.parse()) {
                new Scanner(unit, Trees.instance(task), path, text, found).scan(unit, false);
            }
        }
        System.out.print(found);
    }

    /** Walks one file; the argument says whether the node stands within a function. */
    private static final class Scanner extends TreeScanner<Void, Boolean> {
        private final CompilationUnitTree unit;
        private final Trees trees;
        private final String path;
        private final String text;
        private final StringBuilder found;
        private String owner = "";

        Scanner(CompilationUnitTree unit, Trees trees, String path, String text, StringBuilder found) {
            this.unit = unit;
            this.trees = trees;
            this.path = path;
            this.text = text;
            this.found = found;
        }

        @Override
        public Void visitClass(ClassTree node, Boolean isLocal) {
            String outer = owner;
            owner = node.getSimpleName().toString();
            if (!owner.isEmpty()) {
                add(node, node.getModifiers(), owner, TYPES.get(node.getKind()), isLocal);
            }
            super.visitClass(node, isLocal);
            owner = outer;
            return null;
        }

        @Override
        public Void visitMethod(MethodTree node, Boolean isLocal) {
            boolean isConstructor = node.getReturnType() == null;
            String name = isConstructor ? owner : node.getName().toString();
            if (!name.isEmpty()) {
                add(node, node.getModifiers(), name, isConstructor ? "constructor" : "method", isLocal);
            }
            return super.visitMethod(node, node.getBody() != null || isLocal);
        }

        @Override
        public Void visitLambdaExpression(LambdaExpressionTree node, Boolean isLocal) {
            return super.visitLambdaExpression(node, true);
        }

        /** The line of the name: the first place after the modifiers where the name stands as a word. */
        private void add(Tree node, Tree modifiers, String name, String kind, boolean isLocal) {
            int start = (int) trees.getSourcePositions().getStartPosition(unit, node);
            int after = (int) trees.getSourcePositions().getEndPosition(unit, modifiers);
            if (start < 0) {
                return; // made by the compiler: the constructor of an enum without one
            }
            Matcher word =
                    Pattern.compile("\\b" + Pattern.quote(name) + "\\b").matcher(text);
            int at = word.find(Math.max(start, after)) ? word.start() : start;
            long line = unit.getLineMap().getLineNumber(at);
            found.append(String.format("{\"path\": \"%s\", \"name\": \"%s\", \"kind\": \"%s\", \"line\": %d, \"local\": %b}%n",
                    path.replace("\\", "\\\\").replace("\"", "\\\""), name, kind, line, isLocal));
        }
    }
}
