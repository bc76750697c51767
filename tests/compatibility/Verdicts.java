import java.io.BufferedReader;
import java.io.InputStreamReader;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;
import org.apache.avro.SchemaCompatibility.SchemaCompatibilityType;

/** Reads a reader's and a writer's schema, a line each, and prints 1 where they are compatible. */
public class Verdicts {
  public static void main(String[] arguments) throws Exception {
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
    for (String reader = lines.readLine(); reader != null; reader = lines.readLine()) {
      Schema reading = new Schema.Parser().parse(reader);
      Schema writing = new Schema.Parser().parse(lines.readLine());
      SchemaCompatibilityType type =
          SchemaCompatibility.checkReaderWriterCompatibility(reading, writing).getType();
      System.out.print(type == SchemaCompatibilityType.COMPATIBLE ? '1' : '0');
    }
  }
}
